// Trying an operation of the API from its own page. The key stays in the field; nothing is kept.
(function () {
  'use strict';
  var box = document.getElementById('try'), key = document.getElementById('key');
  if (!window.fetch) return;
  box.hidden = false;
  function newKey() {
    var bytes = new Uint8Array(12), text = 'try-';
    window.crypto.getRandomValues(bytes);
    for (var at = 0; at < bytes.length; at++) text += ('0' + bytes[at].toString(16)).slice(-2);
    return text;
  }
  function pretty(text) { try { return JSON.stringify(JSON.parse(text), null, 2); } catch (error) { return text.slice(0, 2000); } }
  Array.prototype.forEach.call(document.querySelectorAll('form.tryit'), function (form) {
    form.hidden = false;
    form.addEventListener('submit', function (event) {
      event.preventDefault();
      var out = form.querySelector('.out'), method = form.getAttribute('data-method'), query = [];
      var path = form.getAttribute('data-path'), options = {method: method, headers: {}, credentials: 'omit'};
      out.hidden = false;
      if (key.value.trim().indexOf('pm_test_') !== 0) { out.textContent = box.getAttribute('data-only'); key.focus(); return; }
      Array.prototype.forEach.call(form.elements, function (field) {
        if (!field.name || !field.value) return;
        if (field.name === 'body') options.body = field.value;
        else if (field.name.charAt(0) === '?') query.push(field.name.slice(1) + '=' + encodeURIComponent(field.value));
        else path = path.replace('{' + field.name + '}', encodeURIComponent(field.value));
      });
      options.headers.Authorization = 'Bearer ' + key.value.trim();
      if (options.body) options.headers['Content-Type'] = 'application/json';
      if (method === 'POST') options.headers['Idempotency-Key'] = newKey();
      out.textContent = '…';
      fetch(box.getAttribute('data-base') + path + (query.length ? '?' + query.join('&') : ''), options).then(function (answer) {
        return answer.text().then(function (text) {
          var told = ['idempotency-key', 'ratelimit-remaining', 'x-request-id'].map(function (name) {
            var value = name === 'idempotency-key' ? options.headers['Idempotency-Key'] : answer.headers.get(name);
            return value ? name + ': ' + value : '';
          }).filter(Boolean).join('\n');
          out.textContent = answer.status + '\n' + told + '\n\n' + pretty(text);
        });
      }).catch(function (error) { out.textContent = String(error); });
    });
  });
})();

(function () {
  'use strict';
  var body = document.body, base = body.getAttribute('data-base');
  // The notice of an unstable network comes when an answer is late or a request is lost, and goes by itself.
  var offline = document.getElementById('offline'), SLOW_MS = 5000, late = 0, lost = false;
  function network(now) {
    if (typeof now === 'boolean') lost = now;
    if (offline) offline.hidden = !lost && navigator.onLine !== false;
  }
  window.addEventListener('online', function () { network(false); });
  window.addEventListener('offline', function () { network(true); });
  network();
  // Back after a while: a newer version is said. Nothing reloads by itself, least of all in the middle of a form.
  var newer = document.getElementById('newer'), asked = Date.now();
  document.addEventListener('visibilitychange', function () {
    if (!newer || document.hidden || Date.now() - asked < 300000) return;
    asked = Date.now();
    var request = new XMLHttpRequest(); request.open('GET', '/version.json');
    request.onload = function () { if (request.status === 200) newer.hidden = JSON.parse(request.responseText).version === document.documentElement.getAttribute('data-v'); };
    request.send();
  });
  var summary = document.getElementById('errors');
  if (summary) summary.focus();
  // A second tap while the first is under way does nothing; the server would give the same invoice anyway.
  Array.prototype.forEach.call(document.forms, function (form) {
    form.addEventListener('submit', function (event) {
      if (form.hasAttribute('data-again')) return; // it fetches files, and the page stays
      if (form.getAttribute('data-sent')) { event.preventDefault(); return; }
      form.setAttribute('data-sent', '1');
      setTimeout(function () { form.removeAttribute('data-sent'); }, 8000);
      late = setTimeout(function () { network(true); }, SLOW_MS);
    });
  });
  window.addEventListener('pageshow', function () {
    clearTimeout(late); network(false);
    Array.prototype.forEach.call(document.forms, function (form) { form.removeAttribute('data-sent'); });
  });
  // Typing a company's name chooses the company.
  var company = document.querySelector('[name=title][value=company]');
  if (company) Array.prototype.forEach.call(['name', 'taxpayer_id', 'block'], function (id) {
    document.getElementById(id).addEventListener('input', function () { company.checked = true; });
  });
  var photo = document.getElementById('photo');
  if (photo) photo.addEventListener('change', function () { if (photo.files.length) photo.form.submit(); });
  Array.prototype.forEach.call(document.querySelectorAll('[data-copy]'), function (button) {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener('click', function () {
      navigator.clipboard.writeText(button.getAttribute('data-copy')).then(function () {
        button.textContent = button.getAttribute('data-done');
      });
    });
  });
  // What was typed and not sent yet outlives a reload and a crash of the network, in this tab only.
  try {
    if (base && body.getAttribute('data-seen')) keepTyped(window.sessionStorage, 'typed ' + base);
    // It arrived: the next application of this tab begins empty.
    if (body.getAttribute('data-arrived')) window.sessionStorage.removeItem('typed ' + body.getAttribute('data-arrived'));
  } catch (error) { /* storage is switched off */ }
  function keepTyped(store, key) {
    var fields = document.querySelectorAll('form[method=post] input:not([type]), form[method=post] input[type=email], textarea');
    var typed = JSON.parse(store.getItem(key) || '{}');
    if (!fields.length) { store.removeItem(key); return; }
    Array.prototype.forEach.call(fields, function (field) {
      if (!field.value && typed[field.name]) {
        field.value = typed[field.name];
        if (company && /^(name|taxpayer_id|block)$/.test(field.name)) company.checked = true;
        for (var around = field.parentNode; around; around = around.parentNode) if (around.tagName === 'DETAILS') around.open = true;
      }
      field.addEventListener('input', function () { typed[field.name] = field.value; store.setItem(key, JSON.stringify(typed)); });
    });
  }
  if (body.getAttribute('data-app') && navigator.serviceWorker) navigator.serviceWorker.register('/sw.js');
  if (!base) return;
  var live = body.getAttribute('data-live'), state = body.getAttribute('data-state');
  if (body.getAttribute('data-seen') && !document.hidden) {
    var beacon = new XMLHttpRequest(); beacon.open('POST', base + '/seen'); beacon.send();
  }
  if (!live) return;
  var slow = document.getElementById('slow');
  if (slow) setTimeout(function () { slow.hidden = false; }, 10000);
  var touched = false, fresh = document.getElementById('fresh');
  document.addEventListener('input', function () { touched = true; });
  function changed(next) {
    // A reload now would take away the answer to what was just sent.
    if (document.querySelector('form[data-sent]')) return;
    // A list in which something is being typed is not taken away; a line says that there is more.
    if (next !== state && fresh && (touched || document.querySelector('details[open]'))) { fresh.hidden = false; return; }
    if (next !== state && !(state === 'open' && next === 'viewed' && body.getAttribute('data-seen'))) location.reload();
  }
  var wait = 1;
  function poll() {
    var request = new XMLHttpRequest();
    request.open('GET', base + '/state.json' + (body.getAttribute('data-carried') || ''));
    request.timeout = 10000;
    request.onerror = request.ontimeout = function () { network(true); };
    request.onload = function () { network(false); if (request.status === 200) changed(JSON.parse(request.responseText).state); };
    request.onloadend = function () { wait = Math.min(wait * 2, 15); setTimeout(poll, wait * 1000); };
    request.send();
  }
  if (window.EventSource) {
    var source = new EventSource(base + '/events' + (body.getAttribute('data-carried') || ''));
    source.addEventListener('state', function (event) { changed(JSON.parse(event.data).state); });
    source.onopen = function () { network(false); };
    source.onerror = function () { network(true); if (source.readyState === 2) { source.close(); setTimeout(poll, 1000); } };
  } else setTimeout(poll, 1000);
}());

(function () {
  'use strict';
  function typing(target) { return /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName); }
  document.addEventListener('keydown', function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '/' && !typing(event.target)) {
      var search = document.getElementById('q');
      if (search) { search.focus(); event.preventDefault(); }
    }
    if ((event.key === 'n' || event.key === 'N') && !typing(event.target)) location.href = '/console/codes/new';
    if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && !typing(event.target)) {
      var links = Array.prototype.slice.call(document.querySelectorAll('tbody a.open'));
      var at = links.indexOf(document.activeElement) + (event.key === 'ArrowDown' ? 1 : -1);
      if (links[at]) { links[at].focus(); event.preventDefault(); }
    }
  });
  Array.prototype.forEach.call(document.querySelectorAll('tr[data-href]'), function (row) {
    row.addEventListener('click', function (event) {
      if (event.target.tagName !== 'A' && !/tick/.test(event.target.className) && event.target.type !== 'checkbox') location.href = row.getAttribute('data-href');
    });
  });
  Array.prototype.forEach.call(document.querySelectorAll('input[type=password]'), function (field) {
    var hint = document.getElementById('caps');
    if (hint) field.addEventListener('keyup', function (event) {
      if (event.getModifierState) hint.hidden = !event.getModifierState('CapsLock');
    });
  });
  // The badge of what waits for approval; the page of it follows by itself.
  var badge = document.getElementById('inbox');
  if (badge) setInterval(function () {
    if (document.hidden) return;
    var request = new XMLHttpRequest();
    request.open('GET', '/console/inbox/count.json');
    request.onload = function () {
      if (request.status !== 200) return;
      var count = JSON.parse(request.responseText).count;
      badge.hidden = !count; badge.textContent = count;
    };
    request.send();
  }, 5000);
  var print = document.getElementById('print');
  if (print) { print.hidden = false; print.addEventListener('click', function () { window.print(); }); }
  Array.prototype.forEach.call(document.querySelectorAll('[data-share]'), function (button) {
    if (!navigator.share) return;
    button.hidden = false;
    button.addEventListener('click', function () { navigator.share({text: button.getAttribute('data-share')}).catch(function () {}); });
  });
  // The draft is kept until its code is there: making one may fail.
  var made = document.body.getAttribute('data-made');
  if (made && window.localStorage) localStorage.removeItem('draft:' + made);
  // Classification codes for what is typed: a name, pinyin initials or digits.
  var classes = document.getElementById('classes');
  Array.prototype.forEach.call(document.querySelectorAll('[data-find]'), function (field) {
    var asked = '';
    function ask(text) {
      if (!classes || !text || text === asked || /^\d{19}$/.test(text)) return;
      asked = text;
      var request = new XMLHttpRequest();
      request.open('GET', field.getAttribute('data-find') + '?q=' + encodeURIComponent(text));
      request.onload = function () {
        if (request.status !== 200) return;
        classes.textContent = '';
        JSON.parse(request.responseText).forEach(function (row) {
          var option = document.createElement('option');
          field.usual = field.usual || {}; field.usual[row.code] = row.rate;
          option.value = row.code; option.label = row.name + ' *' + row.short + '*'; option.textContent = text + ' ' + option.label;
          classes.appendChild(option);
        });
      };
      request.send();
    }
    var from = document.getElementById(field.getAttribute('data-from'));
    field.addEventListener('input', function () { ask(field.value); });
    field.addEventListener('focus', function () { ask(field.value || (from && from.value)); });
  });
  // How far an export is.
  var progress = document.body.getAttribute('data-progress');
  function fetchText(address, done, end) {
    var request = new XMLHttpRequest();
    request.open('GET', address);
    request.onload = function () { if (request.status === 200) done(request.responseText); };
    if (end) request.onloadend = end;
    request.send();
  }
  function follow() {
    fetchText(progress, function (text) {
      var now = JSON.parse(text);
      if (now.state !== 'running') { location.reload(); return; }
      document.getElementById('progress').textContent = now.done; document.getElementById('bar').value = now.done;
    }, function () { setTimeout(follow, 1000); });
  }
  if (progress) setTimeout(follow, 700);
  // The board follows what happens: told by the server, or asked for when that does not work.
  var boardAt = document.body.getAttribute('data-board'), board = document.getElementById('board');
  if (boardAt && board) {
    var shown = document.getElementById('board-state').getAttribute('data-state'), fresh = 0;
    var renew = function (state) {
      if (state === shown || Date.now() - fresh < 1500 || board.contains(document.activeElement)) return;
      fresh = Date.now();
      fetchText(boardAt, function (text) {
        var open = Array.prototype.map.call(board.querySelectorAll('details'), function (one) { return one.open; });
        board.innerHTML = text; shown = document.getElementById('board-state').getAttribute('data-state');
        Array.prototype.forEach.call(board.querySelectorAll('details'), function (one, at) { one.open = open[at]; });
      });
    };
    var ask = function () { fetchText(boardAt + '/state.json', function (text) { renew(JSON.parse(text).state); }, function () { setTimeout(ask, 2000); }); };
    if (window.EventSource) {
      var told = new EventSource(boardAt + '/events'), last = shown;
      told.addEventListener('state', function (event) { last = JSON.parse(event.data).state; renew(last); });
      told.onerror = function () { if (told.readyState === 2) { told.close(); setTimeout(ask, 1000); } };
      setInterval(function () { renew(last); }, 2000);
    } else setTimeout(ask, 2000);
  }
  var form = document.querySelector('form[data-draft]');
  if (!form) return;
  // The ticket follows what is typed.
  var ticket = document.getElementById('ticket'), address = form.getAttribute('data-preview'), timer, turn = 0;
  function preview() {
    if (!form.elements.amount1.value && !form.elements.price1.value && !form.elements.quantity1.value) return;
    var mine = ++turn, parts = [];
    Array.prototype.forEach.call(form.elements, function (field) {
      if (field.name && field.type !== 'submit' && (field.type !== 'radio' && field.type !== 'checkbox' || field.checked)) parts.push(encodeURIComponent(field.name) + '=' + encodeURIComponent(field.value));
    });
    var request = new XMLHttpRequest();
    request.open('POST', address);
    request.setRequestHeader('content-type', 'application/x-www-form-urlencoded');
    request.setRequestHeader('accept', 'text/html');
    ticket.className = 'stale';
    request.onloadend = function () {
      if (mine !== turn) return;
      ticket.className = '';
      if (request.status === 200) ticket.innerHTML = request.responseText;
    };
    request.send(parts.join('&'));
  }
  if (ticket && address) {
    Array.prototype.forEach.call(document.querySelectorAll('.plain'), function (plain) { plain.hidden = true; });
    var later = function () { clearTimeout(timer); timer = setTimeout(preview, 250); };
    form.addEventListener('input', later); form.addEventListener('change', later);
  }
  // What was sent and never answered comes back: the network was lost, or the server. What was only typed is a draft on
  // the server (issue.js), and is not put into the next sale unasked.
  if (!window.localStorage) return;
  var key = 'draft:' + form.getAttribute('data-draft');
  function fields() { return Array.prototype.filter.call(form.elements, function (field) { return field.name && field.type !== 'hidden' && field.type !== 'password' && field.type !== 'submit' && field.type !== 'radio' && field.type !== 'checkbox'; }); }
  try {
    var kept = JSON.parse(localStorage.getItem(key) || '{}');
    if (!form.hasAttribute('data-filled')) fields().forEach(function (field) { if (kept[field.name] && !field.value) field.value = kept[field.name]; });
  } catch (error) { /* not ours */ }
  localStorage.removeItem(key);
  form.addEventListener('submit', function () {
    var values = {}; fields().forEach(function (field) { values[field.name] = field.value; });
    localStorage.setItem(key, JSON.stringify(values));
  });
}());

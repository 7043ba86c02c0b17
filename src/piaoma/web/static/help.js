(function () {
  'use strict';
  var told = {}, list = document.getElementById('device');
  function fill(text, values) { return text.replace(/\{(\w+)\}/g, function (all, name) { return values[name]; }); }
  // good, warn or bad: the sign, the sentence, and a line of the report for support.
  function tell(name, tone, key, values) {
    var place = document.querySelector('[data-device="' + name + '"]');
    told[name] = tone + (values ? ' ' + JSON.stringify(values) : '');
    if (!place) return;
    place.textContent = fill(place.getAttribute('data-' + key) || '', values || {});
    if (list) {
      place.parentNode.className = tone;
      place.parentNode.querySelector('.sign').textContent = {ok: '✓', warn: '◇', bad: '▲'}[tone];
    }
    var report = document.getElementById('report');
    if (report) report.href = report.getAttribute('href').split('&device=')[0] + '&device=' + encodeURIComponent(Object.keys(told).map(function (one) { return one + ': ' + told[one]; }).join('; '));
  }
  function storage() {
    try {
      localStorage.setItem('check', '1'); localStorage.removeItem('check');
      tell('storage', 'ok', 'good');
    } catch (error) { tell('storage', 'warn', 'fail'); }
  }
  function camera() {
    var media = navigator.mediaDevices;
    if (!media || !media.enumerateDevices) { tell('camera', 'warn', 'none'); return; }
    media.enumerateDevices().then(function (devices) {
      if (!devices.some(function (one) { return one.kind === 'videoinput'; })) { tell('camera', 'warn', 'none'); return; }
      if (!navigator.permissions) { tell('camera', 'ok', 'ask'); return; }
      return navigator.permissions.query({name: 'camera'}).then(function (state) {
        if (state.state === 'denied') tell('camera', 'warn', 'fail'); else tell('camera', 'ok', 'ask');
      });
    }).catch(function () { tell('camera', 'warn', 'none'); });
  }
  // Three rounds: the fastest says what the line can do, and tells the clock best.
  function network() {
    var rounds = 0, best = null;
    function round() {
      var began = Date.now(), request = new XMLHttpRequest();
      request.open('GET', '/version.json?' + began);
      request.timeout = 10000;
      request.onload = function () {
        var ended = Date.now(), answer = JSON.parse(request.responseText), ms = ended - began;
        if (!best || ms < best.ms) best = {ms: ms, took: answer.took_ms, off: Math.round((answer.now_ms - (began + ended) / 2) / 1000)};
        if (++rounds < 3) { round(); return; }
        var offset = Math.abs(best.off) <= 1 ? 0 : best.off, values = {ms: best.ms, took: best.took};
        if (best.took > 200) tell('network', 'warn', 'server', values);
        else if (best.ms > 600) tell('network', 'warn', 'slow', values);
        else tell('network', 'ok', 'good', values);
        if (Math.abs(offset) > 20) tell('clock', 'bad', 'fail', {seconds: Math.abs(offset)}); else tell('clock', 'ok', 'good', {seconds: Math.abs(offset)});
      };
      request.onerror = request.ontimeout = function () { tell('network', 'bad', 'fail'); };
      request.send();
    }
    round();
  }
  if (list) { list.hidden = false; tell('script', 'ok', 'good'); storage(); camera(); network(); }
  var line = document.getElementById('network');
  if (line) { line.hidden = false; network(); }
  // What was typed and not sent is no cache.
  var cache = document.getElementById('cache');
  if (cache) {
    cache.hidden = false;
    var button = cache.querySelector('button'), said = cache.querySelector('[role=status]');
    button.addEventListener('click', function () {
      var drafts = 0;
      try { for (var i = 0; i < localStorage.length; i++) if (/^draft:/.test(localStorage.key(i))) drafts++; } catch (error) { /* none kept */ }
      var work = window.caches ? caches.keys().then(function (names) { return Promise.all(names.map(function (name) { return caches.delete(name); })); }) : Promise.resolve();
      work.then(function () { said.textContent = fill(button.getAttribute('data-done'), {count: drafts}); });
    });
  }
  // All of the help on one page: found by what stands in it, the heading counting most.
  var look = document.getElementById('look'), field = document.getElementById('find');
  if (!look) return;
  look.hidden = false;
  var entries = Array.prototype.slice.call(document.querySelectorAll('.entry')), home = entries[0].parentNode;
  function pieces(text) {
    var found = [];
    (text.toLowerCase().match(/[\u4e00-\u9fff]+|[a-z0-9]+/g) || []).forEach(function (piece) {
      if (piece.length > 2 && piece > '\u4e00') for (var i = 0; i < piece.length - 1; i++) found.push(piece.slice(i, i + 2)); else found.push(piece);
    });
    return found;
  }
  function search(text) {
    var wanted = pieces(text), whole = text.toLowerCase();
    entries.map(function (entry, place) {
      var title = entry.querySelector('h2').textContent.toLowerCase(), find = (entry.getAttribute('data-find') || '').toLowerCase(), all = entry.textContent.toLowerCase(), score = 0;
      if (whole.length > 1) score = 20 * (title.indexOf(whole) >= 0) + 20 * (find.indexOf(whole) >= 0);
      wanted.forEach(function (piece) { score += (title.indexOf(piece) >= 0 ? 6 : 0) + (find.indexOf(piece) >= 0 ? 5 : 0) + (all.indexOf(piece) >= 0 ? 1 : 0); });
      score *= Number(entry.getAttribute('data-weight'));
      if (entry.id.toLowerCase() === whole) score = 1000;
      return {entry: entry, score: score, place: place};
    }).sort(function (one, other) { return other.score - one.score || one.place - other.place; }).forEach(function (row) {
      row.entry.hidden = wanted.length > 0 && row.score === 0; home.appendChild(row.entry);
    });
  }
  field.addEventListener('input', function () { search(field.value); });
  // Opened in place of another page of the help, it shows what that page was about.
  var asked = /[?&]q=([^&]*)/.exec(location.search), name = /^\/help\/([^\/]+)$/.exec(location.pathname);
  if (asked) { field.value = decodeURIComponent(asked[1].replace(/\+/g, ' ')); search(field.value); }
  else if (name && document.getElementById(name[1])) { search(name[1]); document.getElementById(name[1]).querySelector('details,h2').open = true; }
}());

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
      if (event.target.tagName !== 'A') location.href = row.getAttribute('data-href');
    });
  });
  Array.prototype.forEach.call(document.querySelectorAll('input[type=password]'), function (field) {
    var hint = document.getElementById('caps');
    if (hint) field.addEventListener('keyup', function (event) {
      if (event.getModifierState) hint.hidden = !event.getModifierState('CapsLock');
    });
  });
  var print = document.getElementById('print');
  if (print) { print.hidden = false; print.addEventListener('click', function () { window.print(); }); }
  var big = document.getElementById('fullscreen'), symbol = document.getElementById('symbol');
  if (big && symbol && symbol.requestFullscreen) {
    big.hidden = false; big.addEventListener('click', function () { symbol.requestFullscreen(); });
  }
  // What was typed comes back after a crash or a lost session.
  var form = document.querySelector('form[data-draft]');
  if (!form || !window.localStorage) return;
  var key = 'draft:' + form.getAttribute('data-draft');
  function fields() { return Array.prototype.filter.call(form.elements, function (field) { return field.name && field.type !== 'hidden' && field.type !== 'submit' && field.type !== 'radio'; }); }
  try {
    var kept = JSON.parse(localStorage.getItem(key) || '{}');
    if (!form.hasAttribute('data-filled')) fields().forEach(function (field) { if (kept[field.name] && !field.value) field.value = kept[field.name]; });
  } catch (error) { localStorage.removeItem(key); }
  form.addEventListener('input', function () {
    var values = {}; fields().forEach(function (field) { values[field.name] = field.value; });
    localStorage.setItem(key, JSON.stringify(values));
  });
  form.addEventListener('submit', function () { localStorage.removeItem(key); });
}());

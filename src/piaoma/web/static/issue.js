(function () {
  'use strict';
  var form = document.getElementById('issue');
  if (!form) return;
  var csrf = form.elements.csrf.value, each = Array.prototype.forEach, big = typeof BigInt === 'function';
  function field(name, row) { return form.elements[name + row]; }
  function ask(address, done, body, fail) {
    var request = new XMLHttpRequest();
    request.open(body ? 'POST' : 'GET', address);
    request.setRequestHeader('accept', 'application/json');
    if (typeof body === 'string') request.setRequestHeader('content-type', 'application/x-www-form-urlencoded');
    request.onload = function () {
      if (request.status === 200) done(JSON.parse(request.responseText)); else if (fail) fail(request.status);
    };
    request.send(body || null);
  }
  function typed() {
    var parts = [];
    each.call(form.elements, function (one) {
      if (one.name && one.type !== 'submit' && one.type !== 'file' && (one.type !== 'radio' && one.type !== 'checkbox' || one.checked)) parts.push(encodeURIComponent(one.name) + '=' + encodeURIComponent(one.value));
    });
    return parts.join('&');
  }
  function changed(one) { one.dispatchEvent(new Event('input', {bubbles: true})); }

  // Figures: whole numbers of the smallest unit, so that the browser and the server agree to the fen.
  function units(text, places) {
    text = String(text).replace(/[,，\s¥￥]/g, '').replace(/[０-９．]/g, function (one) { return String.fromCharCode(one.charCodeAt(0) - 65248); });
    if (!/^\d+(\.\d*)?$|^\.\d+$/.test(text)) return null;
    var parts = text.split('.'), decimals = parts[1] || '';
    if (decimals.length > places) return null;
    while (decimals.length < places) decimals += '0';
    return BigInt((parts[0] || '0') + decimals);
  }
  function divided(upper, lower) {
    var minus = upper < BigInt(0), two = BigInt(2);
    if (minus) upper = -upper;
    var whole = (two * upper + lower) / (two * lower);
    return minus ? -whole : whole;
  }
  function shown(fen) {
    var minus = fen < BigInt(0) ? '-' : '', text = String(minus ? -fen : fen);
    while (text.length < 3) text = '0' + text;
    return minus + text.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ',') + '.' + text.slice(-2);
  }
  function plain(scaled, places) {
    var text = String(scaled);
    while (text.length <= places) text = '0' + text;
    return (text.slice(0, -places) + '.' + text.slice(-places)).replace(/\.?0+$/, '');
  }
  var P = 13, TEN = big ? BigInt('10000000000000') : 0;
  // Two of quantity, price and amount give the third; what somebody typed is never changed.
  function third(row, last) {
    var boxes = {quantity: field('quantity', row), price: field('price', row), amount: field('amount', row)};
    if (!boxes.amount) return;
    if (last) boxes[last].removeAttribute('data-auto');
    var own = Object.keys(boxes).filter(function (name) { return boxes[name].value && !boxes[name].hasAttribute('data-auto'); });
    var to = own.length === 2 ? Object.keys(boxes).filter(function (name) { return own.indexOf(name) < 0; })[0] : '';
    Object.keys(boxes).forEach(function (name) {
      if (name !== to && boxes[name].hasAttribute('data-auto')) { boxes[name].value = ''; boxes[name].removeAttribute('data-auto'); }
    });
    if (!to) return;
    var q = units(boxes.quantity.value, P), p = units(boxes.price.value, P), a = units(boxes.amount.value, 2), value = '';
    if (to === 'amount' && q !== null && p !== null) value = shown(divided(q * p, TEN * TEN / BigInt(100))).replace(/,/g, '');
    if (to === 'price' && q && a !== null) value = plain(divided(a * TEN * TEN / BigInt(100), q), P);
    if (to === 'quantity' && p && a !== null) value = plain(divided(a * TEN * TEN / BigInt(100), p), P);
    boxes[to].value = value;
    if (value) boxes[to].setAttribute('data-auto', '1');
  }
  function rateOf(row) {
    var select = field('rate', row), value = select ? select.value.split('|')[0] : '';
    if (!value && row === 1 && form.querySelector('.goods')) {
      var chip = form.querySelector('[name=goods1]:checked');
      value = chip && chip.getAttribute('data-rate') || '';
    }
    if (!value && select) value = select.getAttribute('data-usual') || '';
    return value ? units(value, 3) : null;
  }
  var totals = document.getElementById('totals');
  function sums() {
    if (!totals || !big) return;
    var exclusive = BigInt(0), tax = BigInt(0), any = false, known = true, mode = form.querySelector('[name=pricing]:checked');
    var without = mode && mode.value === 'exclusive', thousand = BigInt(1000);
    for (var row = 1; field('name', row); row++) {
      var fen = units(field('amount', row).value, 2), q = units(field('quantity', row).value, P), p = units(field('price', row).value, P);
      if (fen === null && q !== null && p !== null) fen = divided(q * p, TEN * TEN / BigInt(100));
      if (fen === null) continue;
      var rate = rateOf(row), less = field('discount', row).value.replace('％', '%').trim(), parts = [fen];
      if (rate === null) { known = false; continue; }
      if (less) {
        var off = /%$/.test(less) ? units(less.slice(0, -1), 4) : units(less, 2);
        if (off !== null) parts.push(-(/%$/.test(less) ? divided(fen * off, BigInt(1000000)) : off));
      }
      parts.forEach(function (part) {
        var base = without ? part : divided(part * thousand, thousand + rate);
        exclusive += base; tax += without ? divided(part * rate, thousand) : part - base;
      });
      any = true;
    }
    totals.hidden = !any || !known;
    totals.textContent = [['exclusive', exclusive], ['tax', tax], ['inclusive', exclusive + tax]].map(function (one) {
      return totals.getAttribute('data-' + one[0]) + ' ¥' + shown(one[1]);
    }).join('　');
  }
  form.addEventListener('input', function (event) {
    // The usual rate of a chosen code is known here, too, so that the totals need not wait for the server.
    var code = /^code(\d+)$/.exec(event.target.name || ''), usual = event.target.usual;
    if (code && usual && usual[event.target.value]) field('rate', code[1]).setAttribute('data-usual', usual[event.target.value]);
    var found = /^(quantity|price|amount)(\d+)$/.exec(event.target.name || '');
    if (found && big) third(+found[2], found[1]);
    sums();
  });
  form.addEventListener('change', sums);

  // An item of the list fills its row; a company of the book fills the title.
  var items = {}, companies = {};
  function fill(row, item, once) {
    ['code', 'rate', 'unit', 'spec', 'price', 'preference'].forEach(function (name) {
      var box = field(name, row);
      if (box && item[name] && (once || !box.value || box.hasAttribute('data-item'))) { box.value = item[name]; box.setAttribute('data-item', '1'); }
    });
    var count = field('quantity', row);
    if (item.price && !count.value && !field('amount', row).value) count.value = '1';
    if (big) third(row);
    changed(count);
  }
  function complete(box, list, address, put, take) {
    var timer, asked = '';
    box.addEventListener('input', function () {
      if (take(box.value)) return;
      clearTimeout(timer);
      timer = setTimeout(function () {
        if (box.value === asked) return;
        asked = box.value;
        ask(address + '?q=' + encodeURIComponent(asked), function (rows) {
          list.textContent = '';
          rows.forEach(function (row) {
            var option = document.createElement('option');
            put(row, option); list.appendChild(option);
          });
          take(box.value);
        });
      }, 120);
    });
  }
  function title(company) {
    ['buyer_id', 'buyer_address', 'buyer_phone', 'buyer_bank', 'buyer_account'].forEach(function (name) { form.elements[name].value = company[name] || ''; });
    if (form.elements.email && !form.elements.email.value) form.elements.email.value = company.email || '';
    changed(form.elements.buyer_id);
  }
  each.call(form.querySelectorAll('[data-goods]'), function (box) {
    complete(box, document.getElementById('items'), box.getAttribute('data-goods'), function (item, option) {
      items[item.name] = item; option.value = item.name; option.label = [item.spec, item.price && '¥' + item.price, item.own].filter(Boolean).join(' ');
      option.textContent = box.value + ' ' + option.label;
    }, function (value) {
      if (!items[value]) return false;
      fill(+box.name.slice(4), items[value]);
      return true;
    });
  });
  each.call(form.querySelectorAll('[data-buyers]'), function (box) {
    complete(box, document.getElementById('buyers'), box.getAttribute('data-buyers'), function (company, option) {
      companies[company.buyer_name] = company; option.value = company.buyer_name; option.textContent = box.value + ' ' + company.buyer_id;
    }, function (value) {
      if (!companies[value] || form.elements.buyer_id.value) return false;
      title(companies[value]);
      return true;
    });
  });

  // Keys: Enter moves on, Ctrl+Enter makes the code; a scanner types a barcode and presses Enter.
  function reachable() {
    return Array.prototype.filter.call(form.querySelectorAll('input,select,textarea,button.main'), function (one) {
      return one.type !== 'hidden' && !one.disabled && one.offsetParent !== null && one.tabIndex >= 0;
    });
  }
  form.addEventListener('keydown', function (event) {
    if (event.key !== 'Enter' || event.isComposing) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      (document.getElementById('make') || form.querySelector('button.main')).click();
      return;
    }
    var at = event.target;
    if (at.id === 'scan') { if (at.value.trim()) { event.preventDefault(); scanned(at); } return; }
    if (at.tagName === 'TEXTAREA' || at.tagName === 'BUTTON' || at.tagName === 'SUMMARY' || /amount/.test(at.className)) return;
    event.preventDefault();
    var all = reachable(), next = all[all.indexOf(at) + 1];
    if (next) { next.focus(); if (next.select) next.select(); }
  });
  function scanned(box) {
    var code = box.value.trim();
    ask('/console/goods.json?q=' + encodeURIComponent(code), function (rows) {
      var item = rows.filter(function (row) { return row.own === code; })[0], free = 0;
      if (!item) { form.submit(); return; }
      for (var row = 1; field('name', row); row++) {
        var count = field('quantity', row);
        if (field('name', row).value === item.name) {
          count.value = /^\d+$/.test(count.value) ? +count.value + 1 : 2;
          if (field('amount', row).hasAttribute('data-auto') || item.price) { field('amount', row).value = ''; field('amount', row).removeAttribute('data-auto'); }
          free = row; break;
        }
        if (!free && !field('name', row).value && !field('amount', row).value) free = row;
      }
      if (!free) { form.submit(); return; }
      if (field('name', free).value !== item.name) { field('name', free).value = item.name; field('quantity', free).value = '1'; fill(free, item, true); }
      for (var around = field('name', free).parentNode; around; around = around.parentNode) if (around.tagName === 'DETAILS') around.open = true;
      var other = form.querySelector('[name=goods1][value=other]');
      if (other) other.checked = true;
      changed(field('quantity', free));
      box.value = ''; box.focus();
    });
  }

  var photo = document.getElementById('photo');
  if (photo) photo.addEventListener('change', function () {
    if (!photo.files.length || !window.FormData) return;
    var data = new FormData();
    data.append('csrf', csrf); data.append('photo', photo.files[0]);
    ask(photo.getAttribute('data-photo'), function (company) { form.elements.buyer_name.value = company.buyer_name; title(company); }, data, function () { document.getElementById('photo-form').submit(); });
  });

  // What is typed is kept on the server, and comes back on whatever device.
  var kept = document.getElementById('kept'), address = form.getAttribute('data-save'), timer, busy = false, again = false;
  function keep() {
    var filled = Array.prototype.filter.call(form.elements, function (one) { return one.value && one.type !== 'hidden' && /^(text|email|textarea)$/.test(one.type) && one.name !== 'days' && !one.hasAttribute('data-item'); });
    if (filled.length < 2 || form.hasAttribute('data-sent')) return;
    if (busy) { again = true; return; }
    busy = true;
    ask(address, function (answer) {
      busy = false;
      form.elements.draft_version.value = answer.version;
      kept.textContent = kept.getAttribute('data-kept') + ' ' + answer.at;
      if (again) { again = false; later(); }
    }, typed(), function (status) {
      busy = false;
      if (status === 409) { kept.textContent = '▲ ' + kept.getAttribute('data-elsewhere'); kept.className = 'fail'; address = ''; }
    });
  }
  function later() { clearTimeout(timer); timer = setTimeout(function () { if (address) keep(); }, 900); }
  if (address) { form.addEventListener('input', later); form.addEventListener('change', later); form.addEventListener('submit', function () { clearTimeout(timer); address = ''; }); }
  sums();
  // The first field that is wrong has the focus, the summary above it its own voice.
  var first = form.querySelector('[autofocus]');
  if (first && document.getElementById('errors')) setTimeout(function () { first.focus(); }, 0);
}());

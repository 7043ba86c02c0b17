'use strict';
// Copies for when there is no network. Only pages named here are kept, only in this browser, and only as a fallback:
// the network is always asked first. A code's pages are left alone: an old state there would be a lie.
const SHELL = 'shell-SHELL_VERSION', PAGES = 'pages', WAIT_MS = 6000;
const KEPT = /^\/(?:my|titles|privacy|help(?:\/[A-Za-z0-9-]+)?|console\/codes)?$/;
const CHANGING = /^\/(?:my|titles|console)(?:\/|$)/;

self.addEventListener('install', function (event) {
  event.waitUntil(caches.open(SHELL).then(function (shell) { return shell.addAll(SHELL_ADDRESSES); })
    .then(function () { return self.skipWaiting(); }));
});
self.addEventListener('activate', function (event) {
  event.waitUntil(caches.keys().then(function (names) {
    return Promise.all(names.map(function (name) { return name === SHELL || name === PAGES ? null : caches.delete(name); }));
  }).then(function () { return self.clients.claim(); }));
});

function fromNetwork(request) {
  return new Promise(function (resolve, reject) {
    setTimeout(reject, WAIT_MS);
    fetch(request).then(resolve, reject);
  });
}
function keep(path, response) {
  if (response.ok && !response.redirected && response.type === 'basic') {
    const copy = response.clone();
    caches.open(PAGES).then(function (pages) { return pages.put(path, copy); });
  }
  return response;
}
// All of the help is one page, kept from the start: it stands in for any page of the help that was not seen before.
function copyOf(path) {
  return caches.match(path).then(function (copy) {
    return copy || caches.match(path.indexOf('/help') === 0 ? '/help/all' : '/offline');
  });
}

self.addEventListener('fetch', function (event) {
  const request = event.request, address = new URL(request.url);
  if (address.origin !== self.location.origin) return;
  if (request.method !== 'GET') {
    if (CHANGING.test(address.pathname)) event.waitUntil(caches.delete(PAGES));
    return;
  }
  if (address.pathname.indexOf('/static/') === 0) {
    event.respondWith(caches.match(request).then(function (copy) { return copy || fetch(request); }));
  } else if (request.mode === 'navigate' && KEPT.test(address.pathname)) {
    event.respondWith(fromNetwork(request).then(function (response) {
      return address.search && address.search !== '?app=1' ? response : keep(address.pathname, response);
    }).catch(function () { return copyOf(address.pathname); }));
  }
});

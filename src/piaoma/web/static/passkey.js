(function () {
  'use strict';
  // Without this script, or without passkeys in the browser, the forms stay hidden and the code of an app does it.
  if (!window.PublicKeyCredential || !navigator.credentials || !window.Uint8Array) return;
  function bytes(text) {
    var raw = atob(text.replace(/-/g, '+').replace(/_/g, '/')), out = new Uint8Array(raw.length);
    for (var i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out;
  }
  function text(buffer) {
    var raw = '', view = new Uint8Array(buffer);
    for (var i = 0; i < view.length; i++) raw += String.fromCharCode(view[i]);
    return btoa(raw).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  }
  function asked(options, making) {
    options.challenge = bytes(options.challenge);
    if (making) options.user.id = bytes(options.user.id);
    (options.excludeCredentials || []).concat(options.allowCredentials || []).forEach(function (one) { one.id = bytes(one.id); });
    return { publicKey: options };
  }
  function answered(made, making) {
    var response = { clientDataJSON: text(made.response.clientDataJSON) };
    if (making) response.attestationObject = text(made.response.attestationObject);
    else {
      response.authenticatorData = text(made.response.authenticatorData);
      response.signature = text(made.response.signature);
      if (made.response.userHandle) response.userHandle = text(made.response.userHandle);
    }
    return JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response: response, clientExtensionResults: {} });
  }
  Array.prototype.forEach.call(document.querySelectorAll('form[data-passkey]'), function (form) {
    var making = form.hasAttribute('data-make'), told = form.querySelector('.fail');
    form.hidden = false;
    form.addEventListener('submit', function (event) {
      if (form.elements.answer.value) return;
      event.preventDefault(); event.stopImmediatePropagation();
      told.hidden = true;
      fetch(form.getAttribute('data-passkey'), { credentials: 'same-origin' }).then(function (got) { return got.json(); }).then(function (options) {
        var wanted = asked(options, making);
        return making ? navigator.credentials.create(wanted) : navigator.credentials.get(wanted);
      }).then(function (made) {
        form.elements.answer.value = answered(made, making);
        form.submit();
      }).catch(function () {
        told.textContent = form.getAttribute('data-failed'); told.hidden = false;
        form.removeAttribute('data-sent');
      });
    }, true);
  });
}());

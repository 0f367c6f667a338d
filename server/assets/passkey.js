// Passkeys (WebAuthn): asks the server what to ask for, asks the browser, and sends the answer with the form.
// A page without this script has a password, and says that a passkey needs one.
"use strict";

(() => {
  const decoded = text =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), letter => letter.charCodeAt(0));

  const encoded = buffer =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  const named = credentials => credentials.map(one => ({ ...one, id: decoded(one.id) }));

  const create = async options => {
    options.challenge = decoded(options.challenge);
    options.user.id = decoded(options.user.id);
    options.excludeCredentials = named(options.excludeCredentials);
    const { response } = await navigator.credentials.create({ publicKey: options });
    return {
      clientDataJSON: encoded(response.clientDataJSON),
      attestationObject: encoded(response.attestationObject),
      transports: response.getTransports?.() ?? [],
    };
  };

  const get = async options => {
    options.challenge = decoded(options.challenge);
    options.allowCredentials = named(options.allowCredentials);
    const { rawId, response } = await navigator.credentials.get({ publicKey: options });
    return {
      id: encoded(rawId),
      clientDataJSON: encoded(response.clientDataJSON),
      authenticatorData: encoded(response.authenticatorData),
      signature: encoded(response.signature),
      userHandle: response.userHandle ? encoded(response.userHandle) : null,
    };
  };

  // What the server is asked with: the token of the form, and what a person typed into it.
  const ask = async form => {
    const typed = [...form.querySelectorAll("[name=form_token], .field input")];
    const body = new URLSearchParams(typed.map(input => [input.name, input.value]));
    const answer = await fetch(form.dataset.options, { method: "POST", body, headers: { Accept: "application/json" } });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.detail ?? said.title);
    return said;
  };

  const sentence = problem => {
    switch (problem.name) {
      case "InvalidStateError":
        return "This device or security key has a passkey for your account already.";
      case "NotAllowedError":
      case "AbortError":
        return "No passkey was used. You can try again.";
      case "NotSupportedError":
        return "This device cannot make a passkey that this site takes.";
      case "Error":
        return `${problem.message}.`;
      default:
        return "This did not work. You can try again.";
    }
  };

  const submitted = async (form, status, button) => {
    button.disabled = true;
    status.textContent = "Follow what your browser asks.";
    try {
      const options = await ask(form);
      const answer = await (form.dataset.passkey === "create" ? create : get)(options);
      form.elements.passkey.value = JSON.stringify(answer);
      // The server has seen it.
      for (const input of form.querySelectorAll("[type=password]")) input.disabled = true;
      status.textContent = "";
      form.submit();
    } catch (problem) {
      status.textContent = sentence(problem);
      button.disabled = false;
      button.focus();
    }
  };

  for (const part of document.querySelectorAll(".passkey")) {
    const form = part.querySelector("form");
    const needs = part.querySelector(".needs");
    if (!window.PublicKeyCredential) {
      needs.textContent = "This browser has no passkeys.";
      continue;
    }
    needs.hidden = true;
    form.hidden = false;
    form.addEventListener("submit", event => {
      event.preventDefault();
      submitted(form, form.querySelector("[role=status]"), form.querySelector("[type=submit]"));
    });
  }
})();

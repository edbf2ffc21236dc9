"""Attacks by pages: what the script of another page tries in the browser of a person at the page.

Each is the body of an async function with T, the address of the page; PATH of a decision; IMAGE, an
image's address; BODY, a decision. It returns a text that begins with `got` if it got what it
wanted. Whether something was recorded is looked up at the server.
"""

from __future__ import annotations

from typing import Final

# How elements tell whether they got what they name.
HELPERS: Final = """
const element = (name, values) => new Promise((resolve) => {
  const made = Object.assign(document.createElement(name), values);
  made.onload = made.onloadeddata = () => resolve("got " + name);
  made.onerror = () => resolve("refused " + name);
  document.body.append(made);
});
const framed = (name, values, act) => new Promise((resolve) => {
  const made = Object.assign(document.createElement(name), values);
  made.onload = () => {
    try {
      const text = made.contentWindow.document.body.innerText;
      resolve((made.contentWindow.location.href === "about:blank" ? "refused " : "got ") + text);
    } catch (error) { resolve("refused " + error.name); }
  };
  made.onerror = () => resolve("refused " + name);
  document.body.append(made);
  act?.(made);
});
const form = (values, fields) => framed("iframe", {name: "to" + Math.random()}, (frame) => {
  const made = document.createElement("form");
  Object.assign(made, {method: "POST", action: T + PATH, target: frame.name, ...values});
  for (const [name, value] of Object.entries(fields)) {
    const field = document.createElement("input");
    Object.assign(field, {type: "hidden", name, value});
    made.append(field);
  }
  document.body.append(made);
  made.submit();
});
const asked = async (address, options) => {
  const answer = await fetch(address, {credentials: "include", ...options});
  const text = answer.type === "opaque" ? "" : await answer.text();
  return (answer.ok ? "got " : "refused ") + answer.type + " " + answer.status + " " + text;
};
const JSON_TYPE = {"Content-Type": "application/json"};
const post = (options) => asked(T + PATH, {method: "POST", body: BODY, ...options});
const opened = (address) => new Promise((resolve) => {
  const other = window.open(address, "_blank");
  if (!other) return resolve("refused: no window");
  const ended = (text) => { other.close(); resolve(text); };
  const look = (left) => {
    let text = "";
    try { text = other.document.body ? other.document.body.innerText : ""; }
    catch (error) { return ended("refused " + error.name); }
    if (text) return ended("got " + text);
    if (left === 0 || other.closed) return ended("refused: out of reach");
    setTimeout(() => look(left - 1), 20);
  };
  look(25);
});
"""

BY_PAGE: Final[dict[str, str]] = {
    "fetch_json": "return post({headers: JSON_TYPE});",
    "fetch_json_without_cors": "return post({headers: JSON_TYPE, mode: 'no-cors'});",
    "fetch_text": "return post({headers: {'Content-Type': 'text/plain'}});",
    "fetch_text_without_cors": "return post({mode: 'no-cors'});",
    "fetch_blob": "return post({body: new Blob([BODY], {type: 'application/json'})});",
    "fetch_form": "return post({body: new URLSearchParams({action: 'note'}), mode: 'no-cors'});",
    "fetch_multipart": "return post({body: new FormData(), mode: 'no-cors'});",
    "fetch_keepalive": "return post({keepalive: true, mode: 'no-cors'});",
    "fetch_with_a_forged_origin": (
        "return post({headers: {...JSON_TYPE, Origin: T, 'Sec-Fetch-Site': 'same-origin'}});"
    ),
    "fetch_with_another_method": "return post({method: 'PUT', headers: JSON_TYPE});",
    "fetch_with_a_method_override": (
        "return post({headers: {...JSON_TYPE, 'X-HTTP-Method-Override': 'POST'}, method: 'PATCH'});"
    ),
    "fetch_slides": "return asked(T + '/api/slides');",
    "fetch_session": "return asked(T + '/api/session');",
    "fetch_page": "return asked(T + '/');",
    "fetch_script": "return asked(T + '/review.js');",
    "fetch_image": "return asked(T + IMAGE);",
    "fetch_login": (
        "return asked(T + '/api/login', {method: 'POST', headers: JSON_TYPE, body: '{}'});"
    ),
    "request_object": """return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("POST", T + PATH);
      request.withCredentials = true;
      request.setRequestHeader("Content-Type", "application/json");
      request.onload = () => resolve("got " + request.status);
      request.onerror = () => resolve("refused");
      request.send(BODY);
    });""",
    "beacon": "navigator.sendBeacon(T + PATH, BODY); return 'refused unless recorded';",
    "form": "return form({}, {action: 'note', text: 'x'});",
    "form_multipart": "return form({enctype: 'multipart/form-data'}, {action: 'note'});",
    "form_text_that_is_json": (
        "return form({enctype: 'text/plain'}, "
        '{\'{"action":"note","text":"\': \'","request":"\' + \'0\'.repeat(32) + \'"}\'});'
    ),
    "form_that_reads": "return form({method: 'GET', action: T + '/api/slides'}, {});",
    "image": "return element('img', {src: T + IMAGE});",
    "image_with_cors": "return element('img', {crossOrigin: 'use-credentials', src: T + IMAGE});",
    "video": "return element('video', {src: T + IMAGE});",
    "script": "return element('script', {src: T + '/review.js'});",
    "script_of_slides": "return element('script', {src: T + '/api/slides'});",
    "module": "return import(T + '/review.js').then(() => 'got module');",
    "style": "return element('link', {rel: 'stylesheet', href: T + '/review.css'});",
    "preload": "return element('link', {rel: 'preload', as: 'image', href: T + IMAGE});",
    "frame": "return framed('iframe', {src: T + '/'});",
    "frame_of_slides": "return framed('iframe', {src: T + '/api/slides'});",
    "frame_in_a_sandbox": "return framed('iframe', {sandbox: 'allow-scripts', src: T + '/'});",
    "object": "return element('object', {data: T + '/', type: 'text/html'});",
    "embed": "return element('embed', {src: T + IMAGE, type: 'image/jpeg'});",
    "worker": """return new Promise((resolve) => {
      const code = `try { importScripts("${T}/review.js"); postMessage("got worker"); }
        catch (error) { postMessage("refused " + error.name); }`;
      const worker = new Worker(URL.createObjectURL(new Blob([code])));
      worker.onmessage = (event) => resolve(event.data);
    });""",
    "service_worker": """if (!navigator.serviceWorker) return "refused: none here";
      return navigator.serviceWorker.register(T + "/review.js").then(() => "got worker");""",
    "web_socket": """return new Promise((resolve) => {
      const socket = new WebSocket(T.replace("http", "ws") + "/api/slides");
      socket.onopen = () => resolve("got socket");
      socket.onerror = () => resolve("refused");
    });""",
    "event_source": """return new Promise((resolve) => {
      const source = new EventSource(T + "/api/slides", {withCredentials: true});
      source.onopen = () => resolve("got source");
      source.onerror = () => { source.close(); resolve("refused"); };
    });""",
    "window": "return opened(T + '/');",
    "window_of_slides": "return opened(T + '/api/slides');",
    "cookie": """return (document.cookie.includes("edge_review") ? "got " : "refused ")
      + document.cookie;""",
    "cookie_thrown": """document.cookie = `edge_review_${new URL(T).port}=x; path=/`;
      return asked(T + "/api/slides");""",
    "token_guessed": "return asked(T + '/enter?token=' + 'A'.repeat(43));",
}

// HTTP requests: histories, people, conversations, files.

/** A refusal by the server, with its sentence and code. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.message || `The server answers ${status}`);
    this.status = status;
    this.code = body?.code;
    this.retryAfterMs = body?.retryAfterMs;
  }
}

/** Requests to one server, with the cookie of a login or a token of the host page. */
export class Http {
  constructor({ url = '', token } = {}) {
    this.url = url;
    this.token = token;
  }

  async ask(method, path, body) {
    const token = this.token && (await this.token());
    const isForm = body instanceof FormData;
    const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(body && !isForm && { 'content-type': 'application/json' }) };
    let response;
    try {
      const credentials = this.token ? 'omit' : 'same-origin';
      response = await fetch(this.url + path, { method, headers, credentials, body: body && !isForm ? JSON.stringify(body) : body });
    } catch {
      throw new Error('The server cannot be reached');
    }
    const answer = await response.json().catch(() => undefined);
    if (!response.ok) throw new Refused(response.status, answer);
    return answer;
  }

  get(path) {
    return this.ask('GET', path);
  }

  post(path, body = {}) {
    return this.ask('POST', path, body);
  }

  upload(file) {
    const form = new FormData();
    form.append('file', file, file.name || 'picture.png');
    return this.ask('POST', '/api/upload', form);
  }
}

/** Escapes a part of a path. */
export const part = encodeURIComponent;

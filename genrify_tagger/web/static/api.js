// The API client: responses are JSON; 202 and Retry-After mean "ask again"; requests that change something carry a header.

// The path below which the page is served, "" for the root.
export const base = document.body.dataset.base || "";

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function parse(response) {
  if (response.ok) return response.json();
  if (response.status === 401 && location.pathname !== `${base}/login`) {
    location.assign(`${base}/login?to=${encodeURIComponent(location.pathname + location.search)}`);
  }
  let message = `the server responded with ${response.status}`;
  try {
    message = (await response.json()).error || message;
  } catch {
    // An error of a proxy before the API has no JSON.
  }
  throw new ApiError(message, response.status);
}

export async function get(url, { signal } = {}) {
  for (let pause = 250; ; pause = Math.min(pause * 1.5, 2000)) {
    const response = await fetch(url, { signal });
    if (response.status !== 202 && !response.headers.has("Retry-After")) return parse(response);
    await wait(pause);
    if (signal?.aborted) throw new DOMException("", "AbortError");
  }
}

export async function send(method, url, body) {
  const headers = { "X-Genrify": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return parse(await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) }));
}

// Request a change of files and wait until it is done.
export async function change(url, body) {
  let task = await send("POST", url, body);
  while (task.state === "running") {
    await wait(500);
    task = await get(`${base}/api/tasks/${task.id}`);
  }
  if (task.state === "failed") throw new ApiError(task.error || "it failed");
  return task;
}

export function upload(file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${base}/api/uploads`);
    request.setRequestHeader("X-Genrify", "1");
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress(event.loaded / (event.total || 1));
    request.onload = () =>
      request.status === 201
        ? resolve(request.response)
        : reject(new ApiError(request.response?.error || `the server responded with ${request.status}`, request.status));
    request.onerror = () => reject(new ApiError("the server is unreachable, or refused the file"));
    request.send(file);
  });
}

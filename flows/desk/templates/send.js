// Sends a file in parts, and goes on where it stopped: what a browser knows of an upload stays until it is whole.
(() => {
  const form = document.getElementById("drop");
  const input = document.getElementById("file");
  const progress = document.getElementById("progress");
  const headers = { "X-CSRF": form.elements.csrf.value };
  const PART = Number(form.dataset.part);
  const TRIES = 8;

  async function ask(path, options = {}) {
    const reply = await fetch(path, { ...options, headers: { ...headers, ...options.headers } });
    const told = await reply.json().catch(() => ({}));
    return { status: reply.status, ...told };
  }

  async function begin(file, key) {
    const known = localStorage.getItem(key);
    const there = known ? await ask(`/desk/uploads/${known}`) : { status: 404 };
    if (there.status === 200 && there.size === file.size) return there;
    const begun = await ask("/desk/uploads", { method: "POST", body: JSON.stringify({ name: file.name, size: file.size }) });
    if (begun.status !== 201) throw new Error(begun.error || "The upload could not be begun.");
    localStorage.setItem(key, begun.id);
    return begun;
  }

  async function send(file) {
    const key = `upload ${file.name} ${file.size} ${file.lastModified}`;
    let { id, received } = await begin(file, key);
    for (let tries = 0; received < file.size; ) {
      progress.textContent = `${file.name}: ${Math.floor((100 * received) / file.size)}% sent`;
      let told = { status: 0 };
      try {
        const body = file.slice(received, received + PART);
        told = await ask(`/desk/uploads/${id}`, { method: "PATCH", body, headers: { "Upload-Offset": String(received) } });
      } catch {
        // The connection broke: after a while, ask how much has come.
      }
      if (told.status === 200) {
        received = told.received;
        tries = 0;
        continue;
      }
      if (++tries > TRIES || told.status === 403) throw new Error(told.error || "The connection broke; choose the file again to go on.");
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tries));
      const there = await ask(`/desk/uploads/${id}`).catch(() => ({}));
      received = there.received ?? received;
    }
    localStorage.removeItem(key);
    location.assign(`/desk/send/${id}`);
  }

  function start(file) {
    progress.textContent = `${file.name}: 0% sent`;
    send(file).catch((error) => {
      progress.textContent = error.message;
    });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.files[0]) start(input.files[0]);
  });
  for (const kind of ["dragover", "drop"]) {
    form.addEventListener(kind, (event) => {
      event.preventDefault();
      form.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) start(event.dataTransfer.files[0]);
    });
  }
  form.addEventListener("dragleave", () => form.classList.remove("over"));

  const record = document.getElementById("record");
  let recorder = null;
  record.hidden = !(navigator.mediaDevices && window.MediaRecorder);
  record.addEventListener("click", async () => {
    if (recorder) return recorder.stop();
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      progress.textContent = `The microphone cannot be used: ${error.message}`;
      return;
    }
    const parts = [];
    recorder = new MediaRecorder(stream);
    recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
    recorder.addEventListener("stop", () => {
      for (const track of stream.getTracks()) track.stop();
      const ending = recorder.mimeType.includes("mp4") ? "m4a" : recorder.mimeType.includes("ogg") ? "ogg" : "webm";
      const at = new Date().toISOString().slice(0, 16).replace("T", " ").replace(":", ".");
      recorder = null;
      record.textContent = "Record from the microphone";
      start(new File(parts, `Recording ${at}.${ending}`));
    });
    recorder.start(1000);
    record.textContent = "Stop, and send";
    progress.textContent = "Recording…";
  });
})();

/** Half-typed text outlives a reload of the page, in this browser tab only. */
const drafts = {
  key: (id) => `studio.draft.${id}`,
  read(id) {
    try {
      return JSON.parse(sessionStorage.getItem(this.key(id)));
    } catch {
      return null;
    }
  },
  write(id, draft) {
    try {
      sessionStorage.setItem(this.key(id), JSON.stringify(draft));
    } catch {
      // Storage may be full or forbidden; the text is still in the editor.
    }
  },
  drop(id) {
    try {
      sessionStorage.removeItem(this.key(id));
    } catch {
      // As above.
    }
  },
};

"""The browser interface: the only package that imports gradio."""

"""The look: a Gradio theme in teal on warm off-white, its dark twin, and the stylesheet."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, sizes

from studio.ui import assets

FONTS = ["system-ui", "Hiragino Sans", "Noto Sans CJK JP", "Noto Sans JP", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Mono CJK JP", "monospace"]

TEAL = colors.Color(
    name="teal",
    c50="#f0fdfa",
    c100="#ccfbf1",
    c200="#99f6e4",
    c300="#5eead4",
    c400="#2dd4bf",
    c500="#14b8a6",
    c600="#0f766e",
    c700="#115e59",
    c800="#134e4a",
    c900="#123d3a",
    c950="#0b2b29",
)
WARM = colors.Color(
    name="warm",
    c50="#faf9f7",
    c100="#f4f2ee",
    c200="#e7e4de",
    c300="#d6d2ca",
    c400="#a8a29a",
    c500="#79736b",
    c600="#5f5a53",
    c700="#44403b",
    c800="#2a2825",
    c900="#1f1d1b",
    c950="#161513",
)


def theme() -> gr.themes.Base:
    """The studio's theme; pass it to `mount_gradio_app(theme=...)`."""
    return gr.themes.Base(
        primary_hue=TEAL,
        secondary_hue=TEAL,
        neutral_hue=WARM,
        text_size=sizes.text_md,
        spacing_size=sizes.spacing_md,
        radius_size=sizes.radius_md,
        font=FONTS,
        font_mono=MONO,
    ).set(
        body_background_fill="#faf9f7",
        body_background_fill_dark="#161513",
        body_text_color="#1c1a17",
        body_text_color_dark="#ece9e4",
        body_text_color_subdued="#6b665e",
        body_text_color_subdued_dark="#a8a29a",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1f1d1b",
        background_fill_secondary="#faf9f7",
        background_fill_secondary_dark="#1a1917",
        border_color_primary="#e7e4de",
        border_color_primary_dark="#35322e",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1f1d1b",
        block_border_width="1px",
        block_border_color="#e7e4de",
        block_border_color_dark="#35322e",
        block_label_text_color="#6b665e",
        block_label_text_color_dark="#a8a29a",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_title_text_color="#6b665e",
        block_title_text_color_dark="#a8a29a",
        block_title_text_weight="500",
        block_title_text_size="*text_sm",
        block_shadow="none",
        block_radius="10px",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1f1d1b",
        input_border_color="#e0dcd5",
        input_border_color_dark="#3d3a35",
        input_border_color_focus="#0f766e",
        input_border_color_focus_dark="#2dd4bf",
        input_border_width="1px",
        slider_color="#0f766e",
        slider_color_dark="#2dd4bf",
        input_shadow="none",
        input_shadow_focus="0 0 0 3px #0f766e26",
        input_shadow_focus_dark="0 0 0 3px #2dd4bf33",
        input_radius="8px",
        button_border_width="1px",
        button_primary_border_color="#0f766e",
        button_primary_border_color_dark="#1fb5a3",
        button_large_radius="8px",
        button_medium_radius="8px",
        button_small_radius="8px",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_background_fill_dark="#1fb5a3",
        button_primary_background_fill_hover_dark="#2dd4bf",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#08201e",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_hover="#f4f2ee",
        button_secondary_background_fill_dark="#262421",
        button_secondary_background_fill_hover_dark="#302d29",
        button_secondary_border_color="#e0dcd5",
        button_secondary_border_color_dark="#3d3a35",
        button_secondary_text_color="#2b2824",
        button_secondary_text_color_dark="#ece9e4",
        link_text_color="#0f766e",
        link_text_color_dark="#5eead4",
        panel_background_fill="transparent",
        panel_background_fill_dark="transparent",
        layout_gap="12px",
    )


def css_paths() -> list[Path]:
    """The stylesheets; pass them to `mount_gradio_app(css_paths=...)`."""
    return [assets.FOLDER / name for name in ("studio.css", "rows.css", "inout.css", "boards.css", "sets.css")]

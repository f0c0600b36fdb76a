"""Entry of the app: settings → studio → interface → serve. Also what a Space runs."""

from studio.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["serve"]))

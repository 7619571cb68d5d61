"""`python -m cerebro` is `cerebro`."""

from cerebro.cli import main

if __name__ == "__main__":
    main()

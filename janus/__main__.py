"""`python -m janus` is the `janus` script."""

from janus.cli.main import main

if __name__ == "__main__":
    main()

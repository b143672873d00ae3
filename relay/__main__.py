"""`python -m relay`: a relay with the settings of the environment and jobstream.toml."""

from relay.main import main

if __name__ == "__main__":
    main()

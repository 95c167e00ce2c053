"""``python -m oneteam``: the same as the command ``oneteam``."""

from oneteam.cli.main import main

if __name__ == "__main__":
    main()

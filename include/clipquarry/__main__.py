"""``python -m clipquarry``: the entry point that runtimes start."""

from clipquarry.cli import main

if __name__ == "__main__":
    main()

"""``python -m clipquarry``: what runtimes start."""

from clipquarry.cli import main

if __name__ == "__main__":
    main()

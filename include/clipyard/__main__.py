"""``python -m clipyard``: what runtimes start."""

from clipyard.cli import main

if __name__ == "__main__":
    main()

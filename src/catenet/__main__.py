"""`python -m catenet`: the same as the command `catenet`."""

from catenet.cli import main

if __name__ == "__main__":
    main()

"""`python -m cli`: the command line behind `./millrace`."""

from cli.app import main

if __name__ == "__main__":
    main()

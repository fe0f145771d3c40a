"""`python -m pilothouse`: the same as the command `pilothouse`."""

from pilothouse.cli.main import main

main()

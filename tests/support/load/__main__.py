"""`python -m support.load CONTROL`: the generator's process."""

from support.load.generator import main

main()

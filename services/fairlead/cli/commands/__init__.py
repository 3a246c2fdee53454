"""One module per command. `main.COMMANDS` lists them. No command imports another one."""

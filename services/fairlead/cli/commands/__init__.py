"""One file per command. `main.COMMANDS` names them; nothing here imports another command."""

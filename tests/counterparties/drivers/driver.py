"""What the Python drivers share: one JSON command on stdin, one JSON answer on stdout. An answer is
either {"ok": ...} or {"error": "..."} when the SDK itself refused. Must not know: any SDK."""

import json
import sys


def drive(commands):
    """Carries out the command with the function of its name, and answers."""
    command = json.load(sys.stdin)
    try:
        answer = {"ok": commands[command["do"]](command)}
    except Exception as error:  # Whatever the SDK throws is its refusal.
        answer = {"error": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout)

"""The service's end of one process of a model: starts it, calls it, and ends it at the time limit of a call."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from typing import Any

from fairlead import errors
from fairlead.contracts.exit_status import how_it_ended
from fairlead.serving.inference import batch
from fairlead.serving.inference.process import codec, messages
from fairlead.serving.inference.process.channel import Channel
from fairlead.serving.settings import Settings

END_S = 5.0
"""How long a process that has closed its pipe may take to end."""
_COMMAND = (sys.executable, "-P", "-m", "fairlead.serving.inference.process.child")
_KILLED = "; the kernel ends a process this way if there is no memory left"


class ModelProcess:
    """One process that runs the model. Created running; `wait_loaded` returns when the model is loaded.

    Its output is that of the service. Not for several threads at once, except `kill`.
    """

    def __init__(self, origin: messages.Origin, settings: Settings, written: codec.Codec) -> None:
        self._limit_s = settings.call_timeout_s
        self._written = written
        self.has_ended = False
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*_COMMAND, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C and signals to the group of the service are not for it
            )
        self._channel = Channel(ours)
        self._start = pickle.dumps((origin, settings))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_loaded(self) -> None:
        """Wait until the model is loaded, without a time limit. Raises ProcessEnded, or the error of loading."""
        try:
            self._channel.send(self._start)
            loaded = codec.loads(self._channel.receive())
        except (EOFError, OSError):
            raise self._ended("while it loaded the model") from None
        if isinstance(loaded, messages.Failed):
            raise loaded.as_exception()

    def call(self, rows: list[Any]) -> list[Any]:
        """The model's answers. Raises ModelFailed, ProcessEnded, or CallTimedOut after it has ended the process."""
        try:
            self._channel.send(self._written.dumps(rows), self._limit_s)
            reply = codec.loads(self._channel.receive(self._limit_s))
        except TimeoutError:
            self.has_ended = True
            self.kill()
            raise errors.CallTimedOut(batch.late("predict", self._limit_s, len(rows))) from None
        except (EOFError, OSError):
            raise self._ended(f"in a call with {batch.counted(len(rows))}") from None
        if isinstance(reply, messages.Failed):
            raise reply.as_exception()
        answers: list[Any] = reply.answers
        return answers

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it, and free its end of the pipe."""
        self.kill()
        self._channel.close()

    def _ended(self, when: str) -> errors.ProcessEnded:
        self.has_ended = True
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:  # it closed the pipe and goes on
            self.kill()
            return errors.ProcessEnded(f"the model's process closed its pipe {when}")
        killed = _KILLED if code == -9 else ""
        return errors.ProcessEnded(f"the model's process {how_it_ended(code)} {when}{killed}")

"""The process of a model: loads it, then answers the rows that the service sends, until the service closes the pipe.

Started with `python -m`, never forked: a fork would copy locks that other threads of the service hold.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from fairlead import logs
from fairlead.serving.formats import folder as folders
from fairlead.serving.formats.author_code import described
from fairlead.serving.formats.made_up_rows import MadeUp
from fairlead.serving.inference import contract, heap, model_calls
from fairlead.serving.inference.process import codec, messages
from fairlead.serving.inference.process.channel import Channel
from fairlead.serving.settings import Settings

PR_SET_PDEATHSIG = 1
_NOBODY_WATCHES = MadeUp("nobody would end a call that does not return while the model is loaded")


def main() -> None:
    """`child FD PARENT`: the pipe's file descriptor, and the process id of the service."""
    end_with(int(sys.argv[2]))
    faulthandler.enable()  # a crash of a library leaves its stack in the log
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    origin, settings = pickle.loads(channel.receive())
    logs.configure(settings.log_level, log_format=settings.log_format)
    try:
        answer, written = load(origin, settings)
    except BaseException as problem:  # the author's code may raise anything, and may call sys.exit()
        channel.send(pickle.dumps(messages.Failed.of(problem, described(problem))))
        return
    channel.send(pickle.dumps(messages.Loaded()))
    try:
        while True:
            channel.send(reply(answer, codec.loads(channel.receive()), written))
    except (EOFError, OSError):
        return  # the service has ended, or has no more use for this process


def end_with(parent: int) -> None:
    """End this process when the service ends in any way: a call of the model may not notice the closed pipe."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        sys.exit()


def load(origin: messages.Origin, settings: Settings) -> tuple[Callable[[list[Any]], list[Any]], codec.Codec]:
    """Load the model. Returns the function that answers rows, and the codec for the answers."""
    served = folders.load_folder(origin.folder, origin.package, copy=origin.copy)
    terms = contract.Contract(served.row_type, served.answer_type, settings.max_request_rows)
    answer = model_calls.compute(served.start(_NOBODY_WATCHES), terms)
    heap.freeze()
    return answer, codec.Codec(origin.package, terms.row_type, terms.answer_type)


def reply(answer: Callable[[list[Any]], list[Any]], rows: list[Any], written: codec.Codec) -> bytes:
    """The message with the answers to these rows, or with why there are none."""
    try:
        return written.dumps(messages.Answers(answer(rows)))
    except BaseException as problem:
        message = described(problem) if isinstance(problem, SystemExit) else f"raised {type(problem).__name__}"
        return pickle.dumps(messages.Failed.of(problem, f"the model's code {message}"))


if __name__ == "__main__":
    main()

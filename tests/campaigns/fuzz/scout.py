"""A process that reads each input first, where a library may end the process that reads.

libFuzzer stops at a crash, and to start it again takes seconds: SciPy crashed in one of 750 inputs of a MATLAB file.
What a scout survives is read by the fuzzer, too, which learns from its branches.
"""

import contextlib
import os
import signal
import warnings

READS = 5000
"""Inputs that one scout reads: what the library does not free lives in it."""
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)


class Scout:
    """Calls `read` in a forked child.

    read   what may end the process; whatever it raises is of no interest here.
    """

    def __init__(self, read):
        self._read, self._child, self._left = read, 0, 0

    def survives(self):
        """Read once; return False if that ended the process."""
        if not self._left:
            self.end()
            self._begin()
        self._left -= 1
        os.write(self._ask, b".")
        if os.read(self._answer, 1):
            return True
        self.end()
        return False

    def _begin(self):
        asked, self._ask = os.pipe()
        self._answer, answered = os.pipe()
        self._left = READS
        with warnings.catch_warnings():
            # Python 3.12 and JAX warn of threads whose locks the child may wait for; it only reads.
            warnings.simplefilter("ignore")
            self._child = os.fork()
        if not self._child:
            os.close(self._ask)
            os.close(self._answer)
            self._serve(asked, answered)
        os.close(asked)
        os.close(answered)

    def _serve(self, asked, answered):
        try:
            for number in CRASHES:
                signal.signal(number, signal.SIG_DFL)  # libFuzzer's handlers would write the input of another time
            while os.read(asked, 1):
                with warnings.catch_warnings(), contextlib.suppress(Exception):
                    warnings.simplefilter("ignore")
                    self._read()
                os.write(answered, b".")
        finally:
            os._exit(0)

    def end(self):
        """End the child, if there is one."""
        if self._child:
            os.close(self._ask)
            os.close(self._answer)
            os.waitpid(self._child, 0)
        self._child = self._left = 0

"""The error tree of oneteam.

::

    OneteamError                      code, public message, hint, exit code, HTTP status
    ├── InputError                    exit 2, 400   what the user gave is wrong: file, row, field, allowed values
    │   ├── UsageError                a command line with an unknown command or option, or one that is missing
    │   ├── FileUnreadableError       not there, truncated, not of the format that it claims
    │   ├── EncodingError             text that is neither UTF-8 nor CP949
    │   ├── MissingColumnError        a column that the schema needs
    │   ├── WrongTypeError            a column that cannot be read as what the schema asks for
    │   ├── NaiveTimestampError       time stamps without offset, and no time zone given
    │   ├── DuplicateCodeError        a code that must be unique stands twice
    │   ├── UnknownValueError         a value outside the allowed set
    │   ├── MappingError              a mapping file that says something impossible
    │   ├── DocumentError             a settings document with an unknown key or an impossible value
    │   ├── NothingFoundError         a folder, period or selection that holds no data
    │   ├── NotThereError             an address of the web face at which there is nothing
    │   └── MissingTaskError          a forecast lacks a task of the baseline, or it is not finite
    ├── StorageError                  exit 74, 507
    │   ├── DiskFullError             no room: nothing was changed
    │   ├── DatasetBusyError          another process writes the same dataset
    │   └── DatasetCorruptError       the dataset's manifest or one of its files does not fit the other
    ├── EngineError                   exit 69, 501
    │   ├── MissingExtraError         an optional library or program that is not installed
    │   ├── OutOfMemoryError          the engine's memory limit is too low for what was asked
    │   └── UnsupportedMeasureError   the engine has no implementation of that measure
    ├── TrustError                    exit 77, 403   what is claimed cannot be trusted
    │   ├── BadSignatureError         a signature that does not fit its content and signer
    │   ├── ReplayError               a message, nonce or round that was seen before, or is too old or from the future
    │   ├── RefusedError              the policy or the budget refuses; every reason is listed, none depends on data
    │   ├── LogError                  an audit log that was changed, cut, rolled back or split
    │   ├── SignInError               nobody is signed in, or name and password do not fit
    │   └── ForbiddenError            the account may not do this, or a form comes from another site
    └── WireError                     exit 69, 502   members could not talk
        ├── UnreachableError          hub or member does not answer
        ├── TooLargeError             a message over the limit
        ├── BusyError                 too many requests in too short a time
        └── RoundError                a secure sum that cannot be completed

The *public* message may be shown to anyone. ``detail`` is for the owner's log only and is never sent to another member.
"""

from __future__ import annotations

from typing import ClassVar


class OneteamError(Exception):
    """Root of the tree.

    Args:
        message: what is wrong, where, and what would be right; safe to show to anyone.
        hint: the next thing to try, as a sentence.
        detail: for the owner's log only.

    >>> err = MissingColumnError("events.csv has no column 'user_id'", hint="Name it in a mapping file.")
    >>> print(err)
    events.csv has no column 'user_id'
    >>> err.as_dict()["code"], err.exit_code
    ('input.missing_column', 2)
    """

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 70
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def as_dict(self) -> dict[str, str]:
        """The public face of the error, for ``--json`` and for HTTP bodies."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class InputError(OneteamError):
    """What the user gave cannot be used."""

    code = "input"
    exit_code = 2
    http_status = 400


class UsageError(InputError):
    """A command line with an unknown command or option, a missing one, or a value of the wrong type."""

    code = "input.usage"


class FileUnreadableError(InputError):
    """A file is not there, is truncated, or is not of the format that it claims."""

    code = "input.file_unreadable"


class EncodingError(InputError):
    """Text is neither UTF-8 nor CP949 (the encoding of Korean Windows)."""

    code = "input.encoding"


class MissingColumnError(InputError):
    """A column that the schema needs is absent."""

    code = "input.missing_column"


class WrongTypeError(InputError):
    """A column cannot be read as the type that the schema asks for."""

    code = "input.wrong_type"


class NaiveTimestampError(InputError):
    """Time stamps carry no UTC offset and no time zone was given."""

    code = "input.naive_timestamp"


class DuplicateCodeError(InputError):
    """A code that must be unique stands twice."""

    code = "input.duplicate_code"


class UnknownValueError(InputError):
    """A value lies outside the allowed set."""

    code = "input.unknown_value"


class MappingError(InputError):
    """A mapping file says something impossible."""

    code = "input.mapping"


class DocumentError(InputError):
    """A settings document (TOML) has an unknown key or an impossible value."""

    code = "input.document"


class NothingFoundError(InputError):
    """A folder, period or selection holds no data."""

    code = "input.nothing_found"


class NotThereError(InputError):
    """There is nothing at this address of the web face, or not for this way of asking."""

    code = "input.not_there"
    http_status = 404


class MissingTaskError(InputError):
    """A forecast lacks a task of the baseline, or a quantile of it is not finite."""

    code = "input.missing_task"


class StorageError(OneteamError):
    """The disk or the dataset on it."""

    code = "storage"
    exit_code = 74
    http_status = 507


class DiskFullError(StorageError):
    """There is no room left; the dataset is as it was before."""

    code = "storage.disk_full"


class DatasetBusyError(StorageError):
    """Another process is writing the same dataset."""

    code = "storage.busy"
    http_status = 409


class DatasetCorruptError(StorageError):
    """The manifest and the files of a dataset do not fit each other."""

    code = "storage.corrupt"


class EngineError(OneteamError):
    """The computing engine."""

    code = "engine"
    exit_code = 69
    http_status = 501


class MissingExtraError(EngineError):
    """An optional library or program is not installed."""

    code = "engine.missing_extra"


class OutOfMemoryError(EngineError):
    """The engine's memory limit is too low for what was asked."""

    code = "engine.out_of_memory"
    http_status = 503


class UnsupportedMeasureError(EngineError):
    """The engine has no implementation of the measure."""

    code = "engine.unsupported_measure"


class TrustError(OneteamError):
    """What is claimed cannot be trusted."""

    code = "trust"
    exit_code = 77
    http_status = 403


class BadSignatureError(TrustError):
    """A signature does not fit its content and signer."""

    code = "trust.bad_signature"


class ReplayError(TrustError):
    """A message, nonce or round was seen before, is too old, or comes from the future."""

    code = "trust.replay"
    http_status = 409


class RefusedError(TrustError):
    """The policy or the budget refuses; every reason is listed, none depends on data.

    Args:
        message: for people.
        reasons: codes of all reasons, as the policy names them.

    >>> RefusedError("the purpose is not the agreement's", reasons=("purpose",)).reasons
    ('purpose',)
    """

    code = "trust.refused"

    def __init__(self, message: str, *, reasons: tuple[str, ...] = (), hint: str = "", detail: str = "") -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.reasons = reasons


class LogError(TrustError):
    """An audit log was changed, cut, rolled back or split."""

    code = "trust.log"


class SignInError(TrustError):
    """Nobody is signed in, or name and password do not fit."""

    code = "trust.sign_in"
    http_status = 401


class ForbiddenError(TrustError):
    """The account may not do this, or a request does not come from a page of this node."""

    code = "trust.forbidden"


class WireError(OneteamError):
    """Members could not talk."""

    code = "wire"
    exit_code = 69
    http_status = 502


class UnreachableError(WireError):
    """Hub or member does not answer."""

    code = "wire.unreachable"
    http_status = 504


class TooLargeError(WireError):
    """A message is over the limit."""

    code = "wire.too_large"
    http_status = 413


class BusyError(WireError):
    """Too many requests came in too short a time."""

    code = "wire.busy"
    http_status = 429


class RoundError(WireError):
    """A secure sum cannot be completed."""

    code = "wire.round"
    http_status = 409

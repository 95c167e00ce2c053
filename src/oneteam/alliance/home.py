"""A member's home: the folder with its identity, the roster, the Agreements and the registry.

::

    HOME/member.toml        who this member is, its datasets, its own limits; written by hand after `oneteam member init`
    HOME/identity.key       both private keys; readable by the owner alone
    HOME/roster.json        the signed roster
    HOME/agreements/*.json  Agreements, named by their id; perhaps not signed by all yet
    HOME/registry.db        book, ledger, audit log, kept Releases
    HOME/notices/*          lists of own subscribers to be told, for the own messaging system; only where the owner acts on Commands
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from oneteam.alliance.roster import Card, SignedRoster, lookup_of, open_roster, sign_card, verify_roster
from oneteam.core.errors import (
    FileUnreadableError,
    InputError,
    NothingFoundError,
    TrustError,
    UnknownValueError,
    WrongTypeError,
)
from oneteam.core.keys import Keys, decode, encode
from oneteam.core.model import Document, Member, Name, PrivacyUnit, Role, Slug, Text
from oneteam.privacy.agreements import agreement_id, quoted, read_toml
from oneteam.privacy.book import AgreementBook, Kept, read_signed_agreement
from oneteam.privacy.policy import LocalLimits
from oneteam.privacy.signing import Lookup, complaints, merge_signed
from oneteam.store.registry import Registry
from oneteam.store.tables import disk_errors, write_atomically

ENVIRONMENT: Final = "ONETEAM_HOME"
DEFAULT_FOLDER: Final = Path(".oneteam")
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
_KEY_FORMAT: Final = "oneteam-identity/1"

_TEMPLATE: Final = """# This member. The id stays for ever; Agreements and the roster know it.
id = {id}
name = {{ en = {en}, ko = {ko} }}
# contributor: brings data.  helper: holds keys and adds noise.  recipient: receives Releases.  witness: keeps others' checkpoints.
roles = {roles}
# The relay that carries sealed messages between members; it can read none of them.
{hub}
# A certificate authority of your own for the relay; public ones need nothing here.
# hub_ca = "ca.pem"

# What this member holds. The name (here: mobility) is the one that Agreements use; the path is relative to this file.
# [datasets.mobility]
# part = "telecom"
# path = "data"
# title = {{ en = "Mobility", ko = "이동량" }}
# privacy_unit = "subscription-week"

# Only ever tighter than what the Agreements allow. Leave a line out to set no limit.
[limits]
# paused = true                      # answer nothing
# dataset_rho_cap = 2.0              # all releases under all Agreements together
# max_rho_per_release = 0.02
# measures = ["od"]
# recipients = ["agency"]
# levels = ["origin=region,destination=region"]
# until = 2027-01-01T00:00:00+09:00

# Whether to act when a recipient of an Agreement asks for its travellers to be told. Off unless switched on here.
# [notices]
# enabled = true
# dataset = "mobility"
# folder = "notices"                 # in this home; each list is readable by its owner alone
# per_day = 10                       # so many requests of one recipient in 24 hours
"""


class DatasetSettings(Document):
    """A dataset that a member holds.

    Args:
        part: which part reads it.
        path: its folder, relative to ``member.toml``.
        title: for the catalogue.
        privacy_unit: whom one contribution belongs to.
    """

    part: Name
    path: str = Field(min_length=1, max_length=4096)
    title: Text | None = None
    privacy_unit: PrivacyUnit = "subscription-week"


class NoticeSettings(Document):
    """Whether a member acts on recipients' Commands, as to list its own travellers for its own messaging system.

    Args:
        enabled: act at all.
        dataset: on which dataset.
        folder: where what is written stands, inside the home.
        per_day: so many Commands of one recipient are acted on in 24 hours at most.
    """

    enabled: bool = False
    dataset: Slug | None = None
    folder: str = Field(default="notices", min_length=1, max_length=1024)
    per_day: int = Field(default=10, ge=1, le=1000)

    @field_validator("folder")
    @classmethod
    def _inside(cls, folder: str) -> str:
        if Path(folder).is_absolute() or ".." in Path(folder).parts:
            raise ValueError("must lie inside the home: a relative path without '..'")
        return folder

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.enabled and self.dataset is None:
            raise ValueError('enabled needs a dataset, as dataset = "mobility"')
        return self


class MemberSettings(Document):
    """``member.toml``.

    Args:
        id: short and stable.
        name: for people.
        roles: what this member does in the alliance.
        hub: address of the relay.
        hub_ca: certificates that the relay's are signed by, relative to ``member.toml``; the public ones when None.
        datasets: what this member holds.
        limits: what it holds back.
        notices: whether it acts on recipients' Commands.
    """

    id: Slug
    name: Text
    roles: tuple[Role, ...] = Field(min_length=1)
    hub: str | None = Field(default=None, pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=500)
    hub_ca: str | None = None
    datasets: dict[Slug, DatasetSettings] = Field(default_factory=dict)
    limits: LocalLimits = LocalLimits()
    notices: NoticeSettings = NoticeSettings()


@dataclass(frozen=True)
class Home:
    """A member's home, opened.

    Args:
        folder: where.
        settings: of ``member.toml``.
        keys: of ``identity.key``; never printed.
    """

    folder: Path
    settings: MemberSettings
    keys: Keys = field(repr=False)

    @classmethod
    def init(cls, folder: Path, member_id: str, name: Text, roles: Sequence[Role], hub: str | None = None) -> Self:
        """Make a home with new keys; nothing that stands there is touched.

        Raises:
            WrongTypeError: an id, role or address that cannot be.
            InputError: a member lives there already.
            StorageError: the folder cannot be written.
        """
        try:
            settings = MemberSettings(id=member_id, name=name, roles=tuple(roles), hub=hub)
        except ValidationError as err:
            raise WrongTypeError(
                f"no such member can be: {complaints(err)}", hint="An id has lower-case letters, digits and hyphens."
            ) from err
        for existing in ("identity.key", "member.toml"):
            if (folder / existing).exists():
                raise InputError(f"{folder / existing}: a member lives here already", hint="Give another folder with --home.")
        text = _TEMPLATE.format(
            id=quoted(settings.id),
            en=quoted(name.en),
            ko=quoted(name.ko),
            roles="[" + ", ".join(quoted(role) for role in settings.roles) + "]",
            hub=f"hub = {quoted(hub)}" if hub else '# hub = "https://hub.example.org:8443"',
        )
        keys = Keys.generate()
        with disk_errors(str(folder)):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(folder / "identity.key", f"{_KEY_FORMAT}\n{encode(keys.to_bytes())}\n".encode(), mode=0o600)
        write_atomically(folder / "member.toml", text.encode())
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a home.

        Raises:
            FileUnreadableError: no member lives there, or a file of it cannot be read.
            WrongTypeError: a bad key of ``member.toml``, by its path.
            TrustError: others could read the private keys.
        """
        path = folder / "member.toml"
        if not path.is_file():
            raise FileUnreadableError(
                f"{path}: no member lives here", hint="`oneteam member init` makes a home; --home or ONETEAM_HOME names it."
            )
        try:
            settings = MemberSettings.model_validate(read_toml(read_bytes(path), str(path)))
        except ValidationError as err:
            raise WrongTypeError(f"{path}: {complaints(err)}") from err
        return cls(folder, settings, _read_keys(folder / "identity.key"))

    @property
    def id(self) -> str:
        """This member's id."""
        return self.settings.id

    @property
    def member(self) -> Member:
        """This member's public part."""
        public = self.keys.public
        return Member(
            id=self.settings.id,
            name=self.settings.name,
            verify_key=encode(public.verify),
            seal_key=encode(public.seal),
            roles=self.settings.roles,
        )

    @property
    def registry_path(self) -> Path:
        """Where the registry stands."""
        return self.folder / "registry.db"

    @property
    def hub_ca(self) -> Path | None:
        """Certificates that the relay's are signed by."""
        return None if self.settings.hub_ca is None else self.folder / self.settings.hub_ca

    def card(self, now: datetime) -> str:
        """The public part to hand over, signed by itself."""
        return sign_card(Card(member=self.member, made_at=now), self.keys)

    def dataset_path(self, dataset: str) -> Path:
        """Where a dataset stands.

        Raises:
            UnknownValueError: this member holds no such dataset.
        """
        if dataset not in self.settings.datasets:
            held = ", ".join(self.settings.datasets) or "none"
            raise UnknownValueError(f"{self.id} holds no dataset '{dataset}'; it holds: {held}", hint="Add it to member.toml.")
        return self.folder / self.settings.datasets[dataset].path

    def roster(self) -> SignedRoster:
        """The roster in use; it has this member with its keys, and all have signed.

        Raises:
            NothingFoundError: there is none yet.
            BadSignatureError, WrongTypeError: as `oneteam.alliance.roster.verify_roster`.
        """
        path = self.folder / "roster.json"
        if not path.is_file():
            raise NothingFoundError(
                f"{path}: no roster yet", hint="`oneteam roster new` makes one from cards, `roster sign` signs and keeps it."
            )
        return verify_roster(read_text_file(path), self.member)

    def lookup(self) -> Lookup:
        """Every member's keys by its id."""
        return lookup_of(self.roster().roster)

    def keep_roster(self, text: str) -> SignedRoster:
        """Take a roster into use.

        Raises:
            BadSignatureError: somebody has not signed, or it does not follow the present one.
            WrongTypeError: not a roster.
        """
        path = self.folder / "roster.json"
        current = open_roster(read_text_file(path)) if path.is_file() else None
        signed = verify_roster(text, self.member, current)
        write_atomically(path, f"{signed.text.strip()}\n".encode())
        return signed

    def keep_agreement(self, text: str) -> Path:
        """Keep a signed Agreement as a file, perhaps not signed by all yet, with the signatures kept before; where it stands.

        Raises:
            BadSignatureError, WrongTypeError: as `oneteam.privacy.book.read_signed_agreement`.
        """
        agreement, _ = read_signed_agreement(text, self.lookup())
        path = self.folder / "agreements" / f"{agreement_id(agreement)}.json"
        if path.is_file():
            text = merge_signed(text, read_text_file(path))
        write_atomically(path, f"{text.strip()}\n".encode())
        return path

    def agreement_texts(self) -> dict[str, str]:
        """Signed texts of all Agreements that stand as files, by id."""
        return {path.stem: read_text_file(path) for path in sorted((self.folder / "agreements").glob("*.json"))}

    def open_registry(self, schemas: Iterable[str]) -> Registry:
        """This member's registry with these tables."""
        return Registry.open(self.registry_path, tuple(schemas))

    def book(self, registry: Registry) -> AgreementBook:
        """The book of Agreements under the roster in use."""
        signed = self.roster()
        return AgreementBook(registry, lookup_of(signed.roster), roster=signed.id, members=signed.roster.members)

    def fill_book(self, book: AgreementBook) -> tuple[Kept, ...]:
        """Put every Agreement that stands as a file and is signed by all into the book; those that are refused are left out."""
        kept = []
        for text in self.agreement_texts().values():
            with suppress(TrustError, InputError):
                kept.append(book.add(text))
        return tuple(kept)


def default_home() -> Path:
    """``ONETEAM_HOME``, else ``.oneteam`` in the working folder."""
    return Path(os.environ.get(ENVIRONMENT) or DEFAULT_FOLDER)


def read_bytes(path: Path) -> bytes:
    """A file of bounded size.

    Raises:
        FileUnreadableError: not there, not readable or too large.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as err:
        raise FileUnreadableError(f"{path}: cannot be read: {getattr(err, 'strerror', None) or err}") from err
    if len(raw) > MAX_FILE_BYTES:
        raise FileUnreadableError(f"{path}: over {MAX_FILE_BYTES:,} bytes")
    return raw


def read_text_file(path: Path) -> str:
    """A UTF-8 text of bounded size.

    Raises:
        FileUnreadableError: not there, not readable, too large or not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise FileUnreadableError(f"{path}: not a text file in UTF-8") from err


def _read_keys(path: Path) -> Keys:
    try:
        mode = path.stat().st_mode
    except OSError as err:
        raise FileUnreadableError(f"{path}: cannot be read: {err.strerror}", hint="Restore it from your backup.") from err
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TrustError(f"{path}: others on this machine can read the private keys", hint=f"chmod 600 {path}")
    lines = read_text_file(path).split()
    if len(lines) != 2 or lines[0] != _KEY_FORMAT:
        raise FileUnreadableError(f"{path}: not an identity of oneteam", hint="Restore it from your backup.")
    try:
        return Keys.from_bytes(decode(lines[1]))
    except WrongTypeError as err:
        raise FileUnreadableError(f"{path}: the identity is damaged", hint="Restore it from your backup.") from err

"""What an HDF5 file holds, by its links: soft links inside the file are followed, no link ever to another file.

h5py opens the other file of an external link where it is only asked whether a name behind the link is there: each link
is looked at by itself, and a soft link is followed one name at a time, as another link may lie on its way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from fnnet.data.named import Chosen, choose, has_images, named_so, of_shapes, roles_of
from fnnet.data.opened import AnyPath
from fnnet.data.roles import part_in
from fnnet.files.disk import refuse

DEEPEST: Final = 4
"""Groups within one another."""
MOST: Final = 1000
"""Objects that are looked at, and links that are followed."""
HOPS: Final = 16
"""Links that lead to links, as many as HDF5 follows; more go in a circle."""
READ: Final = ("train", "test")
"""Parts that are read."""
SAVE: Final = "store the numbers themselves, with h5py"


class Lost(NamedTuple):
    """What a link leads to that is not read.

    problem   as a message calls it.
    text      what was found.
    """

    problem: str
    text: str


class Found(NamedTuple):
    """The datasets of a file, and the links that lead to none, by their paths."""

    datasets: dict[str, Any]
    lost: dict[str, Lost]

    def choose(self, there: Sequence[str], labelled: bool, path: AnyPath, place: str) -> Chosen:
        """Return which of the datasets `there` are read, as `named.choose` does.

        Raises   DataError if what is read, or may be, lies behind a link that is not followed.
        """
        names = [*there, *self.lost]
        roles = dict(zip(names, roles_of(names), strict=True))
        of_parts = [name for name in self.lost if not roles[name] and part_in(name.rpartition("/")[2]) in READ]
        self._check(of_parts if has_images(names) else self.lost, path)
        chosen = choose(names, labelled, path, place)
        self._check(chosen.names.values(), path)
        chosen = chosen._replace(unknown=tuple(name for name in chosen.unknown if name not in self.lost))
        return of_shapes(chosen, lambda name: self.datasets[name].shape, path)

    def _check(self, needed: Iterable[str], path: AnyPath) -> None:
        """Raise DataError for the first of the datasets or groups that is lost."""
        name = next((name for name in needed if name in self.lost), None)
        if name is not None:
            refuse(self.lost[name].problem, path, name, "numbers in this file", self.lost[name].text, SAVE)


def find(archive: Any, path: AnyPath) -> Found:
    """Return the datasets of a file and the links that lead to none.

    A soft link to a dataset that has the same role by another name is left out: it is the same array.
    Raises   DataError for more objects than images and labels can be.
    """
    walk = _Walk(archive, path)
    walk.below("", archive, 1, {_address(archive)}, walk.hard)
    while walk.soft:
        walk.follow(*walk.soft.pop(0))
    return Found(_distinct(walk.hard, walk.linked), walk.lost)


def _distinct(hard: dict[str, Any], linked: dict[str, Any]) -> dict[str, Any]:
    """Return datasets, and those behind links that give them a role which they have not."""
    names = [*hard, *linked]
    names_of_classes = {*named_so(names)}
    roles = dict(zip(names, roles_of(names), strict=True))
    kinds = {name: "names" if name in names_of_classes else roles[name] for name in names}
    found, known = dict(hard), {(kinds[name], _address(each)) for name, each in hard.items()}
    for name, each in linked.items():
        kind = kinds[name], _address(each)
        if kind[0] and kind not in known:
            found[name] = each
            known.add(kind)
    return found


class _Walk:
    """A walk through the groups of a file: first along hard links, then along those of other kinds."""

    def __init__(self, archive: Any, path: AnyPath) -> None:
        self.archive, self.path, self.seen = archive, path, 0
        self.hard: dict[str, Any] = {}
        self.linked: dict[str, Any] = {}
        self.lost: dict[str, Lost] = {}
        self.soft: list[tuple[str, str, Any, int, set[Any]]] = []

    def below(self, prefix: str, group: Any, depth: int, around: set[Any], found: dict[str, Any]) -> None:
        """Add the datasets in a group, and in the groups in it, to `found`; keep other links for later.

        around   the addresses of the groups that it lies in, and its own.
        """
        import h5py

        waiting = [(prefix, group, depth, around)]
        while waiting:
            prefix, group, depth, around = waiting.pop()
            for name in group:
                self._count(prefix)
                if group.id.links.get_info(_encoded(name)).type != h5py.h5l.TYPE_HARD:
                    self.soft.append((prefix, name, group, depth, around))
                    continue
                each = group[name]
                if isinstance(each, h5py.Dataset):
                    found[prefix + name] = each
                elif _is_walked(each, name, depth):
                    waiting.append((f"{prefix}{name}/", each, depth + 1, around | {_address(each)}))

    def follow(self, prefix: str, name: str, group: Any, depth: int, around: set[Any]) -> None:
        """Add what a link leads to."""
        import h5py

        each = self._target(group, _encoded(name))
        if isinstance(each, Lost):
            self.lost[prefix + name] = each
        elif isinstance(each, h5py.Dataset):
            self.linked[prefix + name] = each
        elif _is_walked(each, name, depth) and _address(each) not in around:
            self.below(f"{prefix}{name}/", each, depth + 1, around | {_address(each)}, self.linked)

    def _target(self, group: Any, name: bytes, hops: int = HOPS) -> Any:
        """Return the object that a link leads to, by at most `hops` others, or why it leads to none."""
        import h5py

        kind, links = group.id.links.get_info(name).type, group.id.links
        if kind == h5py.h5l.TYPE_HARD:
            return group[name]
        self._count(_shown(name))
        if kind != h5py.h5l.TYPE_SOFT:
            return Lost("numbers in another file", f"a link to {_shown(links.get_val(name)[0])}, which is not followed")
        place = links.get_val(name)
        at = self.archive if place.startswith(b"/") else group
        for piece in _pieces(place):
            if isinstance(at, h5py.Group) and hops and at.id.links.exists(piece):
                at = self._target(at, piece, hops - 1)
            elif not isinstance(at, Lost):
                why = "which is not there" if hops else "and so on"
                return Lost("a link that leads nowhere", f"a link to {_shown(place)}, {why}")
        return at

    def _count(self, where: str) -> None:
        self.seen += 1
        if self.seen > MOST:
            expected = f"at most {MOST:,} groups and datasets"
            refuse("too many objects", self.path, where or "/", expected, "more", "store only images and labels")


def _is_walked(each: Any, name: str, depth: int) -> bool:
    import h5py

    return isinstance(each, h5py.Group) and depth < DEEPEST and not name.startswith("#")


def _pieces(place: bytes) -> Iterator[bytes]:
    return (piece for piece in place.split(b"/") if piece not in (b"", b"."))


def _address(each: Any) -> Any:
    import h5py

    found = h5py.h5o.get_info(each.id)
    return found.fileno, found.addr


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")

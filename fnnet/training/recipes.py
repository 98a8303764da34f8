"""Named ways to train."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fnnet.errors import UsageError

DEFORMATION: Final[Mapping[str, float]] = MappingProxyType(
    {"shift": 1.5, "rotation": 12.0, "scale": 0.12, "shear": 0.12, "elastic": 1.1, "correlation": 5.0, "fade": 0.0}
)
"""The usual deformation, that of every recipe without its own where one is asked for. It does not fade, so that more
epochs of a run do not depend on how many were planned."""
UNSHEARED: Final[Mapping[str, float]] = MappingProxyType(
    {"shift": 1.0, "rotation": 14.0, "scale": 0.14, "shear": 0.0, "elastic": 1.2, "correlation": 5.0, "fade": 0.5}
)
"""For networks that see each image a hundred times or more: stronger, but without shear."""


class Recipe(NamedTuple):
    """A way to train.

    plan          the fields of `plan.Plan` that differ from its defaults, always with `epochs`, `batch_size` and
                  `learning_rate`. Plain values, as `--help` must not import NumPy: the deformation is a mapping.
    dev           images cut from the training set, at most a tenth of it.
    train_images  images of the rest to train on; None for all.
    min_steps     the minimum number of steps: a small set is passed over more than `epochs` times.
    reports       reports in a run; None for one each epoch.
    members       networks whose logits are averaged; 1 for a network alone.
    """

    name: str
    what: str
    hidden: tuple[int, ...]
    initialiser: str
    dev: int
    plan: Mapping[str, Any]
    train_images: int | None = None
    min_steps: int = 0
    reports: int | None = None
    members: int = 1

    def epochs_for(self, images: int) -> int:
        """Return the number of epochs on a training set of `images` images."""
        batch_size = self.plan["batch_size"]
        steps_per_epoch = 1 if batch_size is None else -(-images // batch_size)
        return int(max(self.plan["epochs"], -(-self.min_steps // steps_per_epoch)))

    def report_every(self, epochs: int) -> int:
        """Return the number of epochs between reports in a run of `epochs` epochs."""
        return 1 if self.reports is None else max(1, epochs // self.reports)

    def dev_for(self, images: int) -> int:
        """Return how many of `images` training images are held out."""
        return min(self.dev, images // 10)


RECIPES: Final = MappingProxyType(
    {
        recipe.name: recipe._replace(plan=MappingProxyType(recipe.plan))
        for recipe in (
            Recipe(
                name="classic",
                what="784-10-10, plain mini-batch gradient descent",
                hidden=(10,),
                initialiser="he",
                dev=5000,
                plan={"epochs": 20, "batch_size": 32, "learning_rate": 0.05},
                min_steps=4000,
            ),
            Recipe(
                name="notebook",
                what="the original notebook: full batch, uniform(-0.5, 0.5) start, 1,200 steps on 41,000 images",
                hidden=(10,),
                initialiser="notebook",
                dev=1000,
                plan={"epochs": 1200, "batch_size": None, "learning_rate": 0.2},
                train_images=41000,
                reports=24,
            ),
            Recipe(
                name="quick",
                what="784-256-10 in less than a second, about 98.3%",
                hidden=(256,),
                initialiser="he",
                dev=0,
                plan={
                    "epochs": 3,
                    "batch_size": 128,
                    "learning_rate": 0.4,
                    "optimizer": "nesterov",
                    "schedule": "onecycle:warmup=0.15",
                    "label_smoothing": 0.1,
                },
                min_steps=1000,
            ),
            Recipe(
                name="accurate",
                what="784-1024-512-10 on deformed images, about 99.4% in a minute",
                hidden=(1024, 512),
                initialiser="he",
                dev=0,
                plan={
                    "epochs": 32,
                    "batch_size": 256,
                    "learning_rate": 0.3,
                    "optimizer": "nesterov",
                    "schedule": "onecycle",
                    "label_smoothing": 0.05,
                    "deformation": MappingProxyType({**DEFORMATION, "fade": 0.5}),
                },
                min_steps=2000,
            ),
            Recipe(
                name="record",
                what="784-2000-1500-1000-500-10 on deformed images, about 99.5% in under an hour",
                hidden=(2000, 1500, 1000, 500),
                initialiser="he",
                dev=0,
                plan={
                    "epochs": 180,
                    "batch_size": 256,
                    "learning_rate": 0.2,
                    "optimizer": "nesterov",
                    "schedule": "onecycle",
                    "deformation": UNSHEARED,
                },
                min_steps=2000,
            ),
            Recipe(
                name="committee",
                what="10 networks 784-1024-512-10 on deformed images, their logits averaged, in under 2 hours",
                hidden=(1024, 512),
                initialiser="he",
                dev=0,
                plan={
                    "epochs": 200,
                    "batch_size": 256,
                    "learning_rate": 0.2,
                    "optimizer": "nesterov",
                    "schedule": "onecycle",
                    "label_smoothing": 0.05,
                    "deformation": UNSHEARED,
                },
                min_steps=2000,
                members=10,
            ),
        )
    }
)


def get(name: str) -> Recipe:
    """Return the recipe of that name; raise UsageError if there is none."""
    if name not in RECIPES:
        raise UsageError("unknown recipe", where="recipe", expected=" or ".join(RECIPES), found=repr(name))
    return RECIPES[name]

"""`FNNetClassifier`: what scikit-learn calls, around the course of a training."""

from __future__ import annotations

import numbers
import weakref
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from fnnet.apps.estimator import options, rows
from fnnet.apps.estimator.course import Course, Data, Learner, Rule, by_lbfgs, run
from fnnet.apps.estimator.refused import clearer
from fnnet.apps.estimator.scores import Scorer
from fnnet.core.check_network import check_initialiser
from fnnet.core.optimizers import trees_of
from fnnet.core.params import Array, Layer, Params, freeze, freeze_params, layer_sizes
from fnnet.core.public import best_classes, init
from fnnet.core.state import Moments, TrainState
from fnnet.core.table import NUMPY, Kernels
from fnnet.errors import UsageError
from fnnet.training import steps
from fnnet.training.plan import Plan, check_hidden, make_optimizer


class _Kept(NamedTuple):
    """The network of a classifier, ready to predict, as long as its arrays are these."""

    arrays: tuple[Any, ...]
    kernels: Kernels
    scorer: Scorer


FEW_LOGITS: Final = 4096
"""Up to as many NumPy's softmax takes less time than a call of compiled code."""
_kept: weakref.WeakKeyDictionary[Any, _Kept] = weakref.WeakKeyDictionary()
"""Beside the classifiers, whose attributes `predict` must not change."""


class FNNetClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A feed-forward network for tables, dense or sparse, trained by the compiled block trainer.

    Its parameters have the names of fnnet's options. The dtype of X, float64 or float32, is that of the network: with
    float32 it trains faster. Sparse X is read as CSR; beyond 65,535 columns it is made dense batch by batch. The output
    has a softmax unit for each class, for two classes too.

    hidden               sizes of the hidden layers; () for softmax regression.
    activation           of the hidden layers: relu, leaky_relu, elu, gelu, silu, tanh, sigmoid, linear or mish.
    optimizer            sgd, momentum, nesterov, rmsprop, adam, adamw, lion or lbfgs, whose iterations are the epochs,
                         on all rows.
    learning_rate        the highest.
    schedule             constant, step, exponential, cosine, onecycle or plateau: how the rate falls.
    batch_size           rows of a step; None for all. Where a batch has all rows, they are not shuffled.
    epochs               passes over the rows, at most.
    momentum             of momentum and nesterov.
    weight_decay         coupled, on weights and biases; decoupled for adamw and lion. scikit-learn's alpha leaves the
                         biases out and is divided by the rows of a batch.
    clip_norm            largest norm of the gradient; 0 for none.
    dropout              fraction of hidden units dropped, one number or one for each layer.
    label_smoothing      fraction of the target spread over all classes.
    class_weight         None, "balanced", or a mapping from classes to weights, 1 for others.
    early_stopping       epochs in a row without a better loss on the rows for validation after which training ends; the
                         best weights are restored. None trains by `tol` instead.
    validation_fraction  of the rows, held out for early stopping unless `fit` is given X_val and y_val.
    tol, n_iter_no_change   without early stopping, training ends after more than `n_iter_no_change` epochs in a row
                         whose loss was not lower than the best by `tol`; tol=None trains all epochs.
    shuffle              whether the rows come in another order in each epoch.
    warm_start           whether `fit` goes on from the last fit.
    initialiser          of the weights: glorot, as MLPClassifier's, he or notebook; biases are 0 with the first two.
    random_state         of all that is drawn; an integer is fnnet's seed.
    dtype                float32 or float64 for any X; None for that of X.
    threads              of the compiled kernels; None for as many as this process may run.
    kernels              "numba", which falls back to NumPy where Numba is absent, "numpy", or a table.

    What differs from MLPClassifier under the same names, beside `weight_decay`:
    - The rows for early stopping are a fraction of each class, however many classes there are, and a class never loses
      all of its rows; there, of ten classes of 200 rows 7 to 32 are held out. Their loss decides, there the accuracy.
    - A row of weight 0 is as if it were not there; there, a batch of such rows ends `fit` with ZeroDivisionError.
      Weights count relative to each other: 5 everywhere is the same as 1.
    - A fit with `warm_start` keeps the optimizer's moments and begins with new patience, so that it can train as long
      as the first; there, later fits ran one epoch. `n_iter_` counts the epochs of all, as `loss_curve_` has them, and
      the orders of rows go on, those of `partial_fit` too.
    - `loss_curve_` is the cross-entropy alone, without the penalty (lbfgs has it in), and is not clipped.

    classes_             the labels, sorted.
    coefs_, intercepts_  W (inputs, outputs) and b (outputs,) of each layer, read-only.
    loss_curve_, loss_   mean loss of each epoch in nats, each row before its step; the last.
    validation_loss_curve_, validation_scores_   loss and accuracy after each epoch; empty without rows for validation.
    n_iter_              epochs made.
    n_features_in_, feature_names_in_   as in all of scikit-learn.

    >>> import numpy as np
    >>> from fnnet import FNNetClassifier
    >>> X = np.random.default_rng(0).standard_normal((300, 2))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
    >>> model = FNNetClassifier((16,), learning_rate=0.02, random_state=0).fit(X, y)
    >>> model.predict([[2.0, 1.0], [2.0, -1.0]]).tolist(), model.score(X, y) > 0.95
    (['same', 'other'], True)
    """

    classes_: Array
    coefs_: list[Array]
    intercepts_: list[Array]
    loss_curve_: list[float]
    validation_loss_curve_: list[float]
    validation_scores_: list[float]
    _training: dict[str, Any]

    def __init__(
        self,
        hidden: int | Sequence[int] = (100,),
        *,
        activation: str = "relu",
        optimizer: str = "adam",
        learning_rate: float = 0.001,
        schedule: str = "constant",
        batch_size: int | None = 200,
        epochs: int = 200,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        early_stopping: int | None = None,
        validation_fraction: float = 0.1,
        tol: float | None = 1e-4,
        n_iter_no_change: int = 10,
        shuffle: bool = True,
        warm_start: bool = False,
        initialiser: str = "glorot",
        random_state: Any = None,
        dtype: Any = None,
        threads: int | None = None,
        kernels: str | Kernels = "numba",
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.epochs = epochs
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.dropout = dropout
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.initialiser = initialiser
        self.random_state = random_state
        self.dtype = dtype
        self.threads = threads
        self.kernels = kernels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:  # fmt: skip
        """Train on rows X (n, features), dense or sparse, with labels y (n,) of two classes or more.

        sample_weight   of the rows (n,).
        X_val, y_val, sample_weight_val   rows for validation, in place of some held out.
        Raises   ValueError for rows or parameters that do not fit; DivergedError.
        """
        hidden = options.hidden_of(self.hidden)
        plan, rule, kernels = options.plan_of(self, hidden), options.rule_of(self), self._kernels()
        again = bool(self.warm_start) and hasattr(self, "coefs_")
        data, names = self._rows(X, y, sample_weight, again)
        if len(names) < 2:
            expected, found = "at least 2 classes", f"one class: {names[0]}"
            raise UsageError("the labels are of one class", where="y", expected=expected, found=found)
        if again and not np.array_equal(names, self.classes_):
            expected, found = f"{self.classes_}, as of the first fit", f"{names}"
            raise UsageError("other classes with warm_start", where="y", expected=expected, found=found)
        learner = self._learner(again, hidden, data, names, plan)
        self.classes_ = names
        of_classes = options.class_weights(self.class_weight, names, data)
        data, held = rows.times(data, of_classes), self._validation(X_val, y_val, sample_weight_val, data.x.dtype)
        held = held and rows.times(held, of_classes)
        if held is None and plan.early_stopping is not None:
            fraction = options.fraction_of(self)
            train, out = rows.held_out(data.labels, len(names), fraction, learner.state.seed)
            held, data = rows.chosen(data, out), rows.chosen(data, train)
        if plan.is_stepwise:
            made = run(learner, data, plan, rule, kernels, shuffle=bool(self.shuffle), validation=held)
        else:
            made = by_lbfgs(learner, data, plan, kernels, held)
        self._keep(made, plan, again)
        return self

    @available_if(lambda self: self.optimizer != "lbfgs")  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Make one pass over rows X (n, features), with labels y (n,), from where training is.

        classes   all labels, to be given at the first call.
        """
        hidden = options.hidden_of(self.hidden)
        plan, kernels = options.plan_of(self, hidden), self._kernels()
        if plan.early_stopping is not None:
            raise UsageError("not with partial_fit", where="early_stopping", expected=None, found=plan.early_stopping)
        if self.class_weight == options.BALANCED:
            expected = "a mapping from classes to weights: not all rows are there"
            raise UsageError("not with partial_fit", where="class_weight", expected=expected, found=options.BALANCED)
        again = hasattr(self, "coefs_")
        if not again and classes is None:
            problem = "missing at the first call of partial_fit"
            raise UsageError(problem, where="classes", expected="all labels", found=None)
        names = self.classes_ if again else unique_labels(classes)
        if again and classes is not None and not np.array_equal(unique_labels(classes), names):
            raise UsageError("other classes than before", where="classes", expected=f"{names}", found=f"{classes}")
        data, _ = self._rows(X, y, sample_weight, again, names)
        learner = self._learner(again, hidden, data, names, plan)
        self.classes_ = names
        of_classes = options.class_weights(self.class_weight, names, data)
        made = run(
            learner, rows.times(data, of_classes), plan._replace(epochs=1), Rule(None, 1, None), kernels,
            shuffle=bool(self.shuffle), first_step=learner.state.step,
        )  # fmt: skip
        self._keep(made, plan, again)
        return self

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each row of X, its label, (n,)."""
        best = best_classes(self._scores(X))
        found: Array = self.classes_[best]
        return found

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class for each row of X, (n, classes), in the order of `classes_`."""
        logits = self._scores(X)
        operations = NUMPY.operations if logits.size < FEW_LOGITS else self._kernels().operations
        return operations.softmax(logits)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of the probabilities, (n, classes): also of those that are less than a float can be."""
        logits = self._scores(X)
        logits = logits - logits.max(axis=1, keepdims=True)
        found: Array = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return found

    # Rows, and the network that they are for.

    def _kernels(self) -> Kernels:
        return options.kernels_of(self.kernels, self.threads)

    def _rows(
        self, X: Any, y: Any, sample_weight: Any, again: bool, classes: Array | None = None
    ) -> tuple[Data, Array]:
        """Return checked rows without those of weight 0, and the classes of their labels, or those that are given."""
        dtypes = [self.coefs_[0].dtype.type] if again else options.dtypes_of(self.dtype)
        X, y = self._validated(X, y, dtypes, again=again)
        _check_labels(y)
        weights = _weights(sample_weight, X.shape[0])
        if classes is None and weights is not None and not (weights > 0).all():
            there = rows.weighted(Data(rows.taken(X), np.arange(len(y)), weights))
            names, labels = rows.coded(y[there.labels])
            return Data(there.x, labels, there.weights), names
        names, labels = rows.coded(y) if classes is None else (classes, rows.numbers_of(y, classes))
        return rows.weighted(Data(rows.taken(X), labels, weights)), names

    def _validated(self, X: Any, y: Any, dtype: Any, *, name: str = "X", again: bool = True) -> Any:
        """Return rows, and labels if there are any, as scikit-learn checks them."""
        try:
            return validate_data(self, X, y, accept_sparse="csr", dtype=dtype, reset=not again)
        except ValueError as error:
            raise clearer(error, X, name) from None

    def _validation(self, X: Any, y: Any, sample_weight: Any, dtype: np.dtype[Any]) -> Data | None:
        """Return rows for validation that are given; None for none."""
        if X is None and y is None:
            return None
        if X is None or y is None:
            where, found = ("X_val", "y_val alone") if X is None else ("y_val", "X_val alone")
            raise UsageError("missing", where=where, expected="X_val and y_val", found=found)
        X, y = self._validated(X, y, dtype.type, name="X_val")
        _check_labels(y)
        data = Data(rows.taken(X), rows.numbers_of(y, self.classes_, "y_val"), _weights(sample_weight, X.shape[0]))
        return rows.weighted(data)

    def _learner(self, again: bool, hidden: tuple[Any, ...], data: Data, names: Array, plan: Plan) -> Learner:
        """Return what training goes on with, or a new network for these rows and classes."""
        sizes = check_hidden((data.x.shape[1], *hidden, len(names)))
        optimizer = make_optimizer(plan) if plan.is_stepwise else None
        if again:
            params, kept = self._params(), self._training
            if layer_sizes(params) != sizes:
                expected, found = layer_sizes(params)[1:-1], sizes[1:-1]
                raise UsageError("other layers than before", where="hidden", expected=expected, found=found)
            moments: Any = optimizer.init(params) if optimizer else ()
            if kept["trees"] and kept["optimizer"] == plan.optimizer:
                moments = Moments(kept["updates"], tuple(_params(tree) for tree in kept["trees"]))
            return Learner(TrainState(params, moments, kept["step"], kept["seed"]), kept["epochs"])
        seed = options.seed_of(self.random_state)
        options.at("initialiser", lambda: check_initialiser(self.initialiser))
        params = init(sizes, seed, scheme=self.initialiser, dtype=data.x.dtype)
        if optimizer is None:
            return Learner(TrainState(params, (), 0, seed))
        return Learner(steps.start(params, seed, optimizer=optimizer))

    def _params(self) -> Params:
        return Params(tuple(Layer(W, b) for W, b in zip(self.coefs_, self.intercepts_, strict=True)))

    def _keep(self, made: Course, plan: Plan, again: bool) -> None:
        """Keep what a training has made as attributes."""
        state, losses = made.learner.state, made.losses
        freeze_params(made.params)
        self.coefs_ = [layer.W for layer in made.params.layers]
        self.intercepts_ = [layer.b for layer in made.params.layers]
        moments = state.optimizer_state
        self._training = {
            "activation": plan.activation, "optimizer": plan.optimizer, "step": state.step, "seed": state.seed,
            "epochs": made.learner.epochs, "updates": moments.steps if isinstance(moments, Moments) else 0,
            "trees": [[*map(list, tree.layers)] for tree in trees_of(moments)],
        }  # fmt: skip
        self.loss_curve_ = [*self.loss_curve_, *losses] if again else losses
        self.loss_ = self.loss_curve_[-1]
        before = ([*self.validation_loss_curve_], [*self.validation_scores_]) if again else ([], [])
        self.validation_loss_curve_ = [*before[0], *(loss for loss, _ in made.scores)]
        self.validation_scores_ = [*before[1], *(accuracy for _, accuracy in made.scores)]
        self.n_iter_ = len(self.loss_curve_)

    def _scores(self, X: Any) -> Array:
        """Return the logits of rows."""
        if not self._are_plain(X):
            check_is_fitted(self)
            X = self._validated(X, "no_validation", self.coefs_[0].dtype.type)
        arrays, kernels, kept = (*self.coefs_, *self.intercepts_), self._kernels(), _kept.get(self)
        if kept is None or kept.kernels is not kernels or not _same(kept.arrays, arrays):
            scorer = Scorer(self._params(), self._training["activation"], kernels)
            kept = _kept[self] = _Kept(arrays, kernels, scorer)
        return kept.scorer.scores(rows.taken(X))

    def _are_plain(self, X: Any) -> bool:
        """Return True, in a tenth of the time of scikit-learn's checks, for rows in which these would find no fault."""
        if type(X) is not np.ndarray or not hasattr(self, "coefs_") or hasattr(self, "feature_names_in_"):
            return False
        W = self.coefs_[0]
        if X.dtype != W.dtype or X.shape != (len(X), len(W)) or not X.size:
            return False
        return rows.have_finite_sums(X, self._kernels().threads)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "coefs_" in state:  # pickles, and the files of skops, give arrays back writable
            self.coefs_, self.intercepts_ = _frozen(self.coefs_), _frozen(self.intercepts_)
            self._training = self._training | {"trees": _frozen(self._training["trees"])}


def _frozen(value: Any) -> Any:
    """Return arrays in lists, read-only."""
    return [*map(_frozen, value)] if isinstance(value, list) else freeze(np.asarray(value))


def _params(tree: Sequence[Sequence[Array]]) -> Params:
    return Params(tuple(Layer(W, b) for W, b in tree))


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _check_labels(y: Any) -> None:
    """Raise ValueError, in scikit-learn's words, for checked y (n,) that are not labels of classes."""
    if y.dtype.kind not in "iub":  # whole numbers are
        check_classification_targets(y)


def _weights(given: Any, n: int) -> Array | None:
    """Return the weights of n rows, float64; one number is that of each."""
    if given is None:
        return None
    if isinstance(given, numbers.Number):
        given = np.full(n, given)
    weights: Array = check_array(given, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (n,):
        raise UsageError("does not fit X", where="sample_weight", expected=f"shape ({n},)", found=weights.shape)
    return weights

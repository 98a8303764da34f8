"""The network as a classifier of scikit-learn, which is imported here alone: `fnnet.FNNetClassifier`."""

from fnnet.errors import FnnetError

try:
    import sklearn  # noqa: F401
except ImportError as error:
    _fix = "pip install 'fnnet[sklearn]'"
    raise FnnetError("the classifier needs scikit-learn", expected="fnnet[sklearn]", found=error, fix=_fix) from None

from fnnet.apps.estimator.classifier import FNNetClassifier as FNNetClassifier

"""Build every ascent from its objective, its parametrisation and its priors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import paddle

from ..core.checks import look_up
from ..core.config import as_dict
from ..core.errors import ConfigError
from ..core.images import IMAGENET_MEAN, IMAGENET_STD, load_image
from ..models.classifier import Classifier
from .ascent import Frame, ascend, noise
from .objectives import Objective
from .parametrisations import PARAMETRISATIONS, Fourier, Parametrisation, Pixels
from .priors.penalties import DEGREES, PENALTIES, for_whole_size, l2_norm
from .priors.pixel_steps import PIXEL_STEPS
from .priors.statistics import Statistics, normalisations
from .priors.transforms import views
from .settings import AscentSettings, Priors, Steps

AUTO_WEIGHT = 1.0  # of the statistics prior
NOISE, GREY = "noise", ("grey", "gray")


def build_ascent(
    network: paddle.nn.Layer,
    objective: Objective,
    start: paddle.Tensor,
    steps: Steps,
    priors: Priors,
    *,
    l2: float = 0.0,
    parametrisation: Callable[[paddle.Tensor], Parametrisation] = Pixels,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    resume: Frame | None = None,
) -> Iterator[Frame]:
    """The frames of an ascent that starts at the images `start`, with all priors.

    `l2` is the λ of λ‖I‖². The images are normalised by `mean` and `std`, which `clamp` needs to
    know the colours of a screen. Raises `ConfigError` if `zoom` is not two factors in rising order.
    """
    for zoom in (priors.zoom, priors.last_zoom or priors.zoom, priors.part_zoom):
        if len(zoom) != 2 or zoom[0] > zoom[1]:
            raise ConfigError(f"zoom must be two factors, the smaller first, not {list(zoom)}")
    whole = max(start.shape[2:])
    return ascend(
        network,
        objective,
        parametrisation(start),
        steps=steps,
        views=lambda images, random, done: views(images, random, priors, done),
        penalties=[
            (l2, for_whole_size(l2_norm, whole, 2)),
            *(
                (
                    getattr(priors, name),
                    for_whole_size(partial(penalty, priors=priors), whole, DEGREES[name]),
                )
                for name, penalty in PENALTIES.items()
            ),
        ],
        statistics=_statistics(network, priors),
        pixel_steps=[
            partial(step, priors=priors, mean=mean, std=std)
            for name, step in PIXEL_STEPS.items()
            if getattr(priors, name)
        ],
        resume=resume,
    )


def _statistics(network: paddle.nn.Layer, priors: Priors) -> Statistics | None:
    """The statistics prior, or None if it is switched off or `auto` finds no layer for it."""
    weight = statistics_weight(network, priors)
    if not weight:
        return None
    return Statistics(network, weight, priors.statistics_first, priors.statistics_last)


def statistics_weight(network: paddle.nn.Layer, priors: Priors) -> float:
    """The weight of the statistics prior. `auto` is 0 for a network without batch normalisation.

    Raises `ConfigError` for another word than `auto`.
    """
    if isinstance(priors.statistics, str):
        look_up("priors.statistics", priors.statistics, {"auto": None})
        return AUTO_WEIGHT if normalisations(network) else 0.0
    return priors.statistics


def configured_ascent(
    settings: AscentSettings,
    classifier: Classifier,
    objective: Objective,
    start: paddle.Tensor,
    resume: Frame | None = None,
) -> Iterator[Frame]:
    """The ascent that a config asks for."""
    parametrisation = look_up("parametrisation", settings.parametrisation, PARAMETRISATIONS)
    if parametrisation is Fourier:
        keys = as_dict(settings.fourier)
        parametrisation = partial(Fourier, mean=classifier.mean, std=classifier.std, **keys)
    return build_ascent(
        classifier.network,
        objective,
        start,
        settings,
        settings.priors,
        l2=settings.l2,
        parametrisation=parametrisation,
        mean=classifier.mean,
        std=classifier.std,
        resume=resume,
    )


def configured_start(settings: AscentSettings, classifier: Classifier) -> paddle.Tensor:
    """The image that a config begins with: noise, the mean colour, or a picture."""
    if settings.init not in (NOISE, *GREY):
        return classifier.prepare([load_image(settings.init)])
    shape = (1, len(classifier.mean), classifier.image_size, classifier.image_size)
    return noise(shape, settings.init_std if settings.init == NOISE else 0.0, settings.seed)

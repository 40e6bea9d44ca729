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
from .priors.penalties import PENALTIES, l2_norm
from .priors.pixel_steps import PIXEL_STEPS
from .priors.transforms import TRANSFORMS
from .settings import AscentSettings, Priors, Steps

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
    if len(priors.zoom) != 2 or priors.zoom[0] > priors.zoom[1]:
        raise ConfigError(f"zoom must be two factors, the smaller first, not {list(priors.zoom)}")
    return ascend(
        network,
        objective,
        parametrisation(start),
        steps=steps,
        transforms=[partial(transform, priors=priors) for transform in TRANSFORMS],
        penalties=[
            (l2, l2_norm),
            *(
                (getattr(priors, name), partial(penalty, priors=priors))
                for name, penalty in PENALTIES.items()
            ),
        ],
        pixel_steps=[
            partial(step, priors=priors, mean=mean, std=std)
            for name, step in PIXEL_STEPS.items()
            if getattr(priors, name)
        ],
        resume=resume,
    )


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

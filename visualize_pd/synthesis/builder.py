"""Build every ascent from its objective, its parametrisation and its priors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import paddle
from PIL import Image, ImageOps

from ..core.checks import look_up
from ..core.config import as_dict
from ..core.errors import ConfigError, ModelError
from ..core.images import IMAGENET_MEAN, IMAGENET_STD, find_images, load_image, to_tensor
from ..models.classifier import Classifier
from ..models.preprocess import CROP
from ..network.layers.feature_maps import middle_layer
from .ascent import Frame, Watcher, Weighted, ascend, noise
from .objectives import Objective
from .parametrisations import PARAMETRISATIONS, Fourier, Parametrisation, Phases, Pixels
from .priors.diversity import Diversity
from .priors.penalties import DEGREES, PENALTIES, for_whole_size, l2_norm
from .priors.pixel_steps import PIXEL_STEPS
from .priors.reference import Reference
from .priors.statistics import FORMS, Statistics, normalisations
from .priors.transforms import resized
from .priors.views import views
from .settings import AscentSettings, Priors, Steps

AUTO_WEIGHT = 0.5  # of the statistics prior
FROM_A_PICTURE = ("accentuation", "deep_dream")
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
    beside: paddle.Tensor | None = None,
    penalty_side: int | None = None,
    watchers: Sequence[Watcher] = (),
    importance: bool = False,
    resume: Frame | None = None,
) -> Iterator[Frame]:
    """The frames of an ascent that starts at the images `start`, with all priors.

    `l2` is the λ of λ‖I‖². `clamp` needs `mean` and `std` to know the colours of a screen. The
    objective sees the images, and after them those of `beside`, changed alike. The penalties count
    as for an image with the longer side `penalty_side`, by default that of the image. Raises
    `ConfigError` if `zoom` is not two factors in rising order.
    """
    for zoom in (priors.zoom, priors.last_zoom or priors.zoom, priors.views.zoom):
        if len(zoom) != 2 or zoom[0] > zoom[1]:
            raise ConfigError(f"zoom must be two factors, the smaller first, not {list(zoom)}")

    def seen(images: paddle.Tensor, random: Any, done: float) -> list[paddle.Tensor]:
        if beside is not None:
            images = paddle.concat([images, resized(beside, images.shape[2:])])
        return views(images, random, priors, done)

    return ascend(
        network,
        objective,
        parametrisation(start),
        steps=steps,
        views=seen,
        penalties=_penalties(priors, l2, penalty_side or max(start.shape[2:])),
        watchers=[*_statistics(network, priors), *watchers],
        pixel_steps=[
            partial(step, priors=priors, mean=mean, std=std)
            for name, step in PIXEL_STEPS.items()
            if getattr(priors, name)
        ],
        importance=importance,
        resume=resume,
    )


def _penalties(priors: Priors, l2: float, whole: int) -> list[Weighted]:
    """The weights and the penalties, which count as for images with the longer side `whole`."""
    found: list[Weighted] = [(l2, for_whole_size(l2_norm, whole, 2), priors.fading)]
    for name, penalty in PENALTIES.items():
        scaled = for_whole_size(partial(penalty, priors=priors), whole, DEGREES[name])
        last = priors.fading if name == "alpha_norm" else 1.0
        found.append((getattr(priors, name), scaled, last))
    return found


def _statistics(network: paddle.nn.Layer, priors: Priors) -> list[Statistics]:
    """The statistics prior, if it is not switched off, and `auto` finds a layer for it."""
    look_up("priors.statistics_form", priors.statistics_form, FORMS)
    weight = statistics_weight(network, priors)
    if not weight:
        return []
    first, last = priors.statistics_first, priors.statistics_last
    return [Statistics(network, weight, first, last, priors.statistics_form)]


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
    groups: Sequence[int] = (),
) -> Iterator[Frame]:
    """The ascent that a config asks for. `groups` are those of `Diversity`."""
    return build_ascent(
        classifier.network,
        objective,
        start,
        settings,
        settings.priors,
        l2=settings.l2,
        parametrisation=configured_parametrisation(settings, classifier),
        mean=classifier.mean,
        std=classifier.std,
        penalty_side=classifier.image_size,
        watchers=configured_watchers(settings, classifier, start, groups),
        importance=settings.transparency,
        resume=resume,
    )


def configured_watchers(
    settings: AscentSettings, classifier: Classifier, start: paddle.Tensor, groups: Sequence[int]
) -> list[Watcher]:
    """The reference and the diversity prior, if a config asks for them."""
    found: list[Watcher] = []
    network, reference, diversity = classifier.network, settings.reference, settings.diversity
    if reference.images and reference.weight:
        photographs = [
            cropped(settings, classifier, load_image(path))
            for path in find_images(reference.images)
        ]
        layers = [str(layer) for layer in reference.layers or []]
        found.append(Reference(network, photographs, reference.weight, layers))
    if diversity.images > 1 and diversity.weight:
        named = diversity.layer is not None
        layer = str(diversity.layer) if named else middle_layer(network, start[:1])
        found.append(Diversity(network, layer, diversity.weight, groups))
    return found


def configured_parametrisation(
    settings: AscentSettings, classifier: Classifier
) -> Callable[[paddle.Tensor], Parametrisation]:
    """The parametrisation that a config asks for, as a function of the first images."""
    kind = look_up("parametrisation", settings.parametrisation, PARAMETRISATIONS)
    if kind is Phases and settings.objective in FROM_A_PICTURE:
        raise ConfigError(
            f"parametrisation phases does not begin with a picture, which objective "
            f"{settings.objective} needs; use fourier or pyramid"
        )
    growth = settings.growth
    if kind is Pixels or settings.init not in (NOISE, *GREY):
        growth = replace(growth, contrast=1.0, colours=1.0)
    options: dict[str, Any] = {"growth": growth}
    if kind is not Pixels:
        options.update(mean=classifier.mean, std=classifier.std)
    if kind is Fourier:
        options.update(as_dict(settings.fourier))
    return partial(kind, **options)


def check_maker(classifier: Classifier) -> None:
    """Raise an error for a network, or a setting of it, for which no images can be made."""
    if classifier.preprocess != CROP:
        raise ConfigError(
            f"model.preprocess={classifier.preprocess} is for photographs that are explained; for "
            "generated images set size"
        )
    if classifier.channels not in (1, 3):
        raise ModelError(
            "images are made for networks with three channels or one, but model.mean has "
            f"{classifier.channels} numbers"
        )


def configured_size(settings: AscentSettings, classifier: Classifier) -> tuple[int, int]:
    """The height and width of the images that a config asks for."""
    size = settings.size or classifier.image_size
    sides = [size, size] if isinstance(size, int) else size
    if len(sides) != 2:
        raise ConfigError(f"size must be a side or [height, width], not {list(sides)}")
    return sides[0], sides[1]


def smallest_view(settings: AscentSettings, classifier: Classifier) -> tuple[int, int]:
    """The height and width of the smallest image that the network will see."""
    height, width = configured_size(settings, classifier)
    views = settings.priors.views
    shares = [side / max(height, width) for side in settings.growth.sizes]
    shares += [side / min(height, width) for side in (views.size, views.last_size) if side]
    share = min([1, *shares])
    return max(1, round(height * share)), max(1, round(width * share))


def configured_start(
    settings: AscentSettings, classifier: Classifier, number: int = 0
) -> paddle.Tensor:
    """The image that a config begins with: noise, the mean colour, or a picture.

    Another `number` gives other noise.
    """
    size = configured_size(settings, classifier)
    if settings.init not in (NOISE, *GREY):
        return cropped(settings, classifier, load_image(settings.init))
    seed = [settings.seed, 2, number] if number else settings.seed
    std = settings.init_std if settings.init == NOISE else 0.0
    return noise((1, len(classifier.mean), *size), std, seed)


def cropped(
    settings: AscentSettings, classifier: Classifier, picture: Image.Image
) -> paddle.Tensor:
    """The centre of a picture with the size that a config asks for, `[1, C, H, W]`, normalised."""
    if settings.size is None:
        return classifier.prepare([picture])
    height, width = configured_size(settings, classifier)
    return to_tensor([ImageOps.fit(picture, (width, height))], classifier.mean, classifier.std)

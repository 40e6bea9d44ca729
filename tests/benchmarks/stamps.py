"""Compose labelled pictures: a photographed object of a known class on a calm background.

    python tests/benchmarks/stamps.py --output DIR [--stamps DIR] [--count 60] [--seed 0]

The objects are the cut-out photographs of Debian's package tuxpaint-stamps-default (GPL), read
where it installs them or in another folder; nothing of them is part of this project. The output
holds `pictures/NAME.jpg`, `masks/NAME.png` (255 on the object, else 0) and `labels.csv`: file,
ImageNet class and the mask's box in pixels, x1 and y1 exclusive, as in content/images/boxes.csv.
The same seed makes the same files.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

INSTALLED = "/usr/share/tuxpaint/stamps"
# Stamp → class: photographs, each looked at, whose class EfficientNet-Lite0 mostly names first.
STAMPS = {
    "animals/birds/hen": 8,  # hen
    "animals/birds/pink_flamingo": 130,  # flamingo
    "animals/birds/rainbow-lorikeet": 90,  # lorikeet
    "animals/birds/rooster": 7,  # cock
    "animals/insects/Brown_slug": 114,  # slug
    "animals/insects/Woodlouse": 126,  # isopod
    "animals/insects/fly": 308,  # fly
    "animals/insects/mantis": 315,  # mantis
    "animals/mammals/bears/european-bear": 294,  # brown bear
    "animals/mammals/bears/toys/edward_bear": 850,  # teddy
    "animals/mammals/bovines/bison": 347,  # bison
    "animals/mammals/bovines/ram": 348,  # ram
    "animals/mammals/cats/tiger_sumatran": 292,  # tiger
    "animals/mammals/equines/zebra": 340,  # zebra
    "animals/mammals/pig": 341,  # hog
    "animals/mammals/wildboar": 342,  # wild boar
    "animals/marsupials/koala": 105,  # koala
    "animals/marsupials/wombat": 106,  # wombat
    "food/fruit/Strawberry2": 949,  # strawberry
    "food/fruit/cherimoya": 956,  # custard apple
    "food/fruit/lemon": 951,  # lemon
    "food/fruit/mandarine": 950,  # orange
    "food/fruit/pineapple": 953,  # pineapple
    "food/vegetables/broccoli": 937,  # broccoli
    "hobbies/binoculars": 447,  # binoculars
    "hobbies/camera_35mm": 759,  # reflex camera
    "hobbies/music/string/violin": 889,  # violin
    "household/dishes/mug": 504,  # coffee mug
    "household/dishes/pitcher_small": 725,  # pitcher
    "household/wheelie_bin": 412,  # ashcan
    "medical/bandage_adhesive": 419,  # Band Aid
    "military/paratrooper": 701,  # parachute
    "military/vehicles/f22_raptor": 895,  # warplane
    "plants/flowers/yellow-flower": 985,  # daisy
    "plants/mushrooms/cep-1": 997,  # bolete
    "sports/basketball": 430,  # basketball
    "sports/soccer": 805,  # soccer ball
    "sports/tennis_ball": 852,  # tennis ball
    "town/uk_post_box": 637,  # mailbox
}
SIZES = ((320, 320),) * 6 + ((400, 320), (320, 400))
SHARES = (0.35, 0.6)  # of the object's longer side in the picture's shorter one
SEEN = 224 / 256  # of the shorter side, in the networks' centre crop: no object is cut off
# Colours at the two ends of a background's gradient.
COLOURS = (
    ((120, 165, 210), (215, 225, 232)),  # sky
    ((88, 112, 62), (150, 160, 96)),  # grass
    ((46, 66, 48), (104, 118, 84)),  # wood
    ((196, 174, 136), (226, 212, 184)),  # sand
    ((112, 88, 66), (160, 136, 108)),  # earth
    ((104, 106, 106), (172, 172, 166)),  # stone
    ((52, 92, 116), (122, 158, 166)),  # water
    ((206, 212, 220), (240, 240, 238)),  # snow
)


def cut_out(path: Path) -> Image.Image:
    """A stamp without its transparent margins."""
    with Image.open(path) as file:
        stamp = file.convert("RGBA")
    return stamp.crop(mask_of(stamp).getbbox())


def mask_of(stamp: Image.Image) -> Image.Image:
    return stamp.getchannel("A").point(lambda alpha: 255 * (alpha > 127))


def background(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """A gradient between two natural colours in some direction, clouded by smooth noise."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = random.uniform(0, 2 * np.pi)
    place = (x * np.cos(angle) + y * np.sin(angle)) / 2.9 + 0.5
    for cells, strength in ((3, 0.15), (7, 0.08), (17, 0.05)):
        noise = Image.fromarray(random.normal(0, strength, (cells, cells)).astype("float32"))
        place += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))
    start, end = np.array(COLOURS[random.integers(len(COLOURS))], dtype=float)
    pixels = start + (end - start) * place[..., None] + random.normal(0, 2, (height, width, 1))
    return Image.fromarray(pixels.round().clip(0, 255).astype("uint8"))


def compose(random: np.random.Generator, stamp: Image.Image) -> tuple[Image.Image, Image.Image]:
    """A picture with the stamp somewhere in it, and the mask of its object."""
    picture = background(random, *SIZES[random.integers(len(SIZES))])
    side = min(picture.size)
    scale = random.uniform(*SHARES) * side / max(stamp.size)
    stamp = stamp.resize([max(1, round(scale * edge)) for edge in stamp.size])
    if random.random() < 0.5:
        stamp = stamp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    corner = []
    for whole, edge in zip(picture.size, stamp.size):
        first = (whole - SEEN * side) / 2
        corner.append(round(random.uniform(first, whole - first - edge)))
    picture.paste(stamp, corner, stamp)
    mask = Image.new("L", picture.size)
    mask.paste(mask_of(stamp), corner)
    return picture, mask


def write_set(stamps: Path, output: Path, count: int, seed: int) -> None:
    """Every stamp comes up once before any comes up again."""
    missing = [name for name in STAMPS if not (stamps / f"{name}.png").is_file()]
    if missing:
        raise FileNotFoundError(
            f"there is no {stamps / missing[0]}.png: install Debian's package "
            "tuxpaint-stamps-default, or name the folder of its stamps with --stamps"
        )
    objects = {name: cut_out(stamps / f"{name}.png") for name in STAMPS}
    for folder in ("pictures", "masks"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        if number % len(STAMPS) == 0:
            order = random.permutation(list(STAMPS))
        stamp = order[number % len(STAMPS)]
        picture, mask = compose(random, objects[stamp])
        name = f"{number:03}_{Path(stamp).name}"
        picture.save(output / "pictures" / f"{name}.jpg", quality=95)
        mask.save(output / "masks" / f"{name}.png")
        rows.append((f"{name}.jpg", STAMPS[stamp], *mask.getbbox()))
    with open(output / "labels.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "class", "x0", "y0", "x1", "y1"))
        table.writerows(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stamps", type=Path, default=INSTALLED, help=f"default: {INSTALLED}")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.count < 1 or arguments.seed < 0:
        parser.error("--count is at least 1, --seed at least 0")
    try:
        write_set(**vars(arguments))
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

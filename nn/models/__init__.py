"""Well-known models, untrained, under torchvision's names where it has them."""

from .alexnet import AlexNet, GroupedAlexNet, alexnet, alexnet_grouped
from .bert import Bert, BertForPretraining, mask_tokens
from .googlenet import GoogLeNet, GoogLeNetOutputs, googlenet
from .gpt import GPT, gpt2
from .inception import Inception3, InceptionOutputs, inception_v3
from .lenet import LeNet5, map_loss, modern_lenet5
from .mobilenet import MobileNetV1, MobileNetV2, mobilenet_v1, mobilenet_v2
from .resnet import (
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    wide_resnet50_2,
)
from .unet import UNet
from .vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn

__all__ = [
    "AlexNet",
    "Bert",
    "BertForPretraining",
    "GPT",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "GroupedAlexNet",
    "Inception3",
    "InceptionOutputs",
    "LeNet5",
    "MobileNetV1",
    "MobileNetV2",
    "ResNet",
    "UNet",
    "VGG",
    "alexnet",
    "alexnet_grouped",
    "googlenet",
    "gpt2",
    "inception_v3",
    "map_loss",
    "mask_tokens",
    "mobilenet_v1",
    "mobilenet_v2",
    "modern_lenet5",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext50_32x4d",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet50_2",
]

"""Backbones that several lessons share: layers, the judge (the digit classifier of the metrics), the
U-Net."""

from course_utils.nets.classifier import DigitClassifier
from course_utils.nets.layers import count_parameters, mlp
from course_utils.nets.unet import Attention, Block, UNet, time_features

__all__ = ["Attention", "Block", "DigitClassifier", "UNet", "count_parameters", "mlp", "time_features"]

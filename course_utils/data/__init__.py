"""Data: the image sets, the 2-D sets, minibatches, letters, and the reader's own digit.

data = cu.mnist()                       # Images: data.train, data.val, data.test, data.classes
data.train.x                            # uint8 (55000, 1, 28, 28), on the CPU
data.train.only(3, 8).sample(500).flat()  # float32 (500, 784) in [0, 1]
for x in cu.Batches(data.train, 128): ...
"""

from course_utils.data.batches import Batches
from course_utils.data.files import DataError
from course_utils.data.images import mnist
from course_utils.data.letters import letters
from course_utils.data.my_digit import my_digit
from course_utils.data.pixels import as_images, to_numpy, to_uint8
from course_utils.data.points import POINTS, checkerboard, eight_gaussians, moons, pinwheel, rings, spiral
from course_utils.data.split import Images, Split

__all__ = [
    "POINTS",
    "Batches",
    "DataError",
    "Images",
    "Split",
    "as_images",
    "checkerboard",
    "eight_gaussians",
    "letters",
    "mnist",
    "moons",
    "my_digit",
    "pinwheel",
    "rings",
    "spiral",
    "to_numpy",
    "to_uint8",
]

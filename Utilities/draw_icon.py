"""Draws the extension's icon: a stylized sagittal lumbar spine with named points.

    QT_QPA_PLATFORM=offscreen python Utilities/draw_icon.py
writes VertebraLabeling.png and VertebraLabeling/Resources/Icons/VertebraLabeling.png (128 x 128).
"""

import math
from pathlib import Path

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QGuiApplication,
    QImage,
    QLinearGradient,
    QPainter,
    QPainterPath,
    QPen,
    QRadialGradient,
)

SIZE, SCALE = 128, 8
ROOT = Path(__file__).resolve().parents[1]
LEVELS = ("T12", "L1", "L2", "L3", "L4")
NAMED = {
    "T12": QColor(255, 196, 92),
    "L1": QColor(98, 220, 255),
    "L2": QColor(98, 220, 255),
    "L3": QColor(98, 220, 255),
}
BONE, BONE_EDGE = QColor(247, 238, 214), QColor(186, 160, 110)


def curve(t):
    """Center of a vertebral body and the tilt (degrees) of its endplates, for t = 0 (top) .. 1 (bottom)."""
    x = 50 - 13 * math.sin(math.pi * (0.10 + 0.85 * t))
    slope = -13 * math.pi * 0.85 * math.cos(math.pi * (0.10 + 0.85 * t)) / 108
    return QPointF(x, 13 + 108 * t), -math.degrees(math.atan(slope))


def body(width, height):
    """A vertebral body seen from the side: endplates and front wall slightly hollow."""
    w, h, dip = width / 2, height / 2, height * 0.10
    path = QPainterPath(QPointF(-w, -h))
    path.quadTo(0, -h + dip, w, -h)
    path.quadTo(w - dip, 0, w, h)
    path.quadTo(0, h - dip, -w, h)
    path.quadTo(-w + dip, 0, -w, -h)
    return path


def process(width, height):
    """Pedicle and spinous process behind the body."""
    path = QPainterPath(QPointF(width / 2 - 1, -height * 0.30))
    path.cubicTo(width * 0.75, -height * 0.42, width * 0.95, -height * 0.10, width * 1.28, height * 0.22)
    path.cubicTo(width * 1.34, height * 0.50, width * 1.10, height * 0.55, width * 0.98, height * 0.45)
    path.cubicTo(width * 0.80, height * 0.22, width * 0.66, height * 0.05, width / 2 - 1, height * 0.10)
    return path


def draw(painter):
    painter.setRenderHint(QPainter.Antialiasing)
    background = QLinearGradient(0, 0, 0, SIZE)
    background.setColorAt(0, QColor(38, 62, 92))
    background.setColorAt(1, QColor(13, 23, 38))
    frame = QPainterPath()
    frame.addRoundedRect(QRectF(1, 1, SIZE - 2, SIZE - 2), 22, 22)
    painter.fillPath(frame, QBrush(background))
    painter.setClipPath(frame)
    draw_spine(painter)
    painter.setClipping(False)
    painter.setBrush(Qt.NoBrush)
    painter.setPen(QPen(QColor(120, 160, 200, 150), 1.4))
    painter.drawPath(frame)


def draw_spine(painter):
    places = [(level, *curve(index / (len(LEVELS) - 1) * 0.92)) for index, level in enumerate(LEVELS)]
    for shape in (process, body):
        for index, (_, center, tilt) in enumerate(places):
            painter.save()
            painter.translate(center)
            painter.rotate(tilt)
            width, height = 27 + 1.4 * index, 18 + 0.5 * index
            bone = QLinearGradient(-width / 2, -height / 2, width, height)
            bone.setColorAt(0, BONE)
            bone.setColorAt(1, QColor(212, 192, 148))
            painter.setPen(QPen(BONE_EDGE, 1.1))
            painter.setBrush(QBrush(bone))
            painter.drawPath(shape(width, height))
            painter.restore()
    painter.setPen(QPen(QColor(255, 255, 255, 130), 1.2, Qt.DashLine))
    painter.drawPolyline([center for _, center, _ in places])
    font = QFont("DejaVu Sans")
    font.setPixelSize(15)
    font.setBold(True)
    painter.setFont(font)
    for level, center, _ in places:
        if level not in NAMED:
            continue
        glow = QRadialGradient(center, 9)
        glow.setColorAt(0, QColor(220, 40, 30, 190))
        glow.setColorAt(1, QColor(220, 40, 30, 0))
        painter.setPen(Qt.NoPen)
        painter.setBrush(QBrush(glow))
        painter.drawEllipse(center, 9, 9)
        painter.setBrush(QColor(226, 40, 32))
        painter.setPen(QPen(Qt.white, 1.3))
        painter.drawEllipse(center, 3.6, 3.6)
        painter.setPen(NAMED[level])
        painter.drawText(QRectF(86, center.y() - 12, 40, 18), Qt.AlignLeft | Qt.AlignVCenter, level)


def main():
    application = QGuiApplication([])
    image = QImage(SIZE * SCALE, SIZE * SCALE, QImage.Format_ARGB32_Premultiplied)
    image.fill(Qt.transparent)
    painter = QPainter(image)
    painter.scale(SCALE, SCALE)
    draw(painter)
    painter.end()
    small = image.scaled(SIZE, SIZE, Qt.KeepAspectRatio, Qt.SmoothTransformation)
    for path in (ROOT / "VertebraLabeling.png", ROOT / "VertebraLabeling/Resources/Icons/VertebraLabeling.png"):
        small.save(str(path))
    del application


if __name__ == "__main__":
    main()

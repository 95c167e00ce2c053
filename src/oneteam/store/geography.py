"""Shapes of zones on disk: GeoJSON (RFC 7946) and TopoJSON read and written, and a plane to measure them in.

Shapes are keyed by *code*, never by name: 30 of Korea's 250 districts share their name with another. Coordinates are WGS 84 longitude and
latitude in degrees, as both formats ask for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from oneteam.core.errors import DuplicateCodeError, FileUnreadableError, MissingColumnError, NothingFoundError, WrongTypeError
from oneteam.store.rows import read_text
from oneteam.store.tables import write_atomically

EARTH_RADIUS_M: Final = 6_371_007.181
"""Radius of the sphere that has the area of the WGS 84 ellipsoid (authalic radius) [m]."""

Floats = npt.NDArray[np.float64]

_HINT_FORMAT: Final = "Give a GeoJSON FeatureCollection or a TopoJSON Topology."


@dataclass(frozen=True)
class Feature:
    """One zone of a shapes file.

    Args:
        code: its code, as text.
        properties: everything else the file says of it.
        geometry: Polygon or MultiPolygon, valid, in WGS 84; None when the file gives none.
    """

    code: str
    properties: Mapping[str, Any]
    geometry: BaseGeometry | None


@dataclass(frozen=True)
class EqualAreaProjection:
    """Lambert azimuthal equal-area projection of the sphere about a centre: degrees to metres and back.

    Areas are exact on the sphere; distances within 500 km of the centre are right to 0.2 %.

    Args:
        longitude: centre [degrees].
        latitude: centre [degrees].

    Source: J. P. Snyder, Map Projections: A Working Manual, USGS Professional Paper 1395, equations 22-4 and 24-2 to 24-16.

    >>> plane = EqualAreaProjection(127.0, 37.5)
    >>> x, y = plane.forward([127.0, 127.0], [37.5, 38.5])
    >>> [round(float(v)) for v in y]
    [0, 111194]
    >>> [round(float(v), 6) for v in plane.inverse(x, y)[1]]
    [37.5, 38.5]
    """

    longitude: float
    latitude: float

    @classmethod
    def centred_on(cls, longitude: npt.ArrayLike, latitude: npt.ArrayLike) -> Self:
        """The projection about the middle of the points' extent; points that are not finite are ignored.

        Raises:
            NothingFoundError: there is no finite point.
        """
        lon, lat = np.asarray(longitude, dtype=np.float64), np.asarray(latitude, dtype=np.float64)
        known = np.isfinite(lon) & np.isfinite(lat)
        if not known.any():
            raise NothingFoundError("no point with coordinates to centre a map on")
        lon, lat = lon[known], lat[known]
        return cls(float(lon.min() + lon.max()) / 2, float(lat.min() + lat.max()) / 2)

    def forward(self, longitude: npt.ArrayLike, latitude: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Degrees to metres east and north of the centre; any shape."""
        lam = np.radians(np.asarray(longitude, dtype=np.float64) - self.longitude)
        phi, phi0 = np.radians(np.asarray(latitude, dtype=np.float64)), np.radians(self.latitude)
        cos_phi, sin_phi = np.cos(phi), np.sin(phi)
        cos_phi0, sin_phi0 = np.cos(phi0), np.sin(phi0)
        # The point opposite the centre has no image; the floor keeps it finite.
        scale = EARTH_RADIUS_M * np.sqrt(2 / np.maximum(1 + sin_phi0 * sin_phi + cos_phi0 * cos_phi * np.cos(lam), 1e-12))
        return scale * cos_phi * np.sin(lam), scale * (cos_phi0 * sin_phi - sin_phi0 * cos_phi * np.cos(lam))

    def inverse(self, x_m: npt.ArrayLike, y_m: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Metres to longitude and latitude in degrees; any shape."""
        x, y = np.asarray(x_m, dtype=np.float64), np.asarray(y_m, dtype=np.float64)
        phi0 = np.radians(self.latitude)
        rho = np.hypot(x, y)
        c = 2 * np.arcsin(np.minimum(rho / (2 * EARTH_RADIUS_M), 1.0))
        per_rho = np.divide(np.sin(c), rho, out=np.zeros_like(rho), where=rho > 0)
        phi = np.arcsin(np.clip(np.cos(c) * np.sin(phi0) + y * per_rho * np.cos(phi0), -1.0, 1.0))
        lam = np.arctan2(x * per_rho, np.cos(phi0) * np.cos(c) - y * per_rho * np.sin(phi0))
        return self.longitude + np.degrees(lam), np.degrees(phi)

    def project(self, shapes: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
        """Shapes from degrees to metres; None stays None."""
        moved = shapely.transform(shapes, lambda xy: np.column_stack(self.forward(xy[:, 0], xy[:, 1])))
        return np.asarray(moved, dtype=object)


def read_shapes(path: Path, key: str = "code") -> dict[str, BaseGeometry]:
    """Polygons of a GeoJSON or TopoJSON file by code.

    Rings that cross themselves are repaired. Features without a geometry are left out; `read_features` keeps them.

    Args:
        path: the file; UTF-8, with or without byte order mark, or CP949.
        key: the property that holds the code; ``id`` also finds the feature's own ``id``.

    Raises:
        FileUnreadableError: no such file, not JSON, or neither GeoJSON nor TopoJSON.
        EncodingError: text in another encoding.
        MissingColumnError: a feature has no such property.
        DuplicateCodeError: two features have the same code.
        WrongTypeError: a geometry that is not a polygon, or coordinates that are not degrees.
        NothingFoundError: the file holds no feature.
    """
    return {feature.code: feature.geometry for feature in read_features(path, key) if feature.geometry is not None}


def read_features(path: Path, *keys: str) -> list[Feature]:
    """Features of a GeoJSON or TopoJSON file, in the order of the file.

    Args:
        path: the file.
        keys: properties that may hold the code; the first one that the first feature has is taken for all. ``code`` when none is given.

    Raises:
        InputError: as in `read_shapes`.
    """
    keys = keys or ("code",)
    document = _read_json(path)
    kind = document.get("type")
    if kind == "FeatureCollection":
        raw = list(_geojson_features(document, path))
    elif kind == "Topology":
        raw = list(_topojson_features(document, path))
    else:
        raise FileUnreadableError(f"{path}: 'type' is {kind!r}, must be 'FeatureCollection' or 'Topology'", hint=_HINT_FORMAT)
    if not raw:
        raise NothingFoundError(f"{path}: holds no feature")
    key = next((k for k in keys if _code_of(raw[0], k) is not None), keys[0])
    features: list[Feature] = []
    seen: dict[str, int] = {}
    for number, item in enumerate(raw, start=1):
        code = _code_of(item, key)
        if code is None:
            names = ", ".join(sorted(item.properties)) or "none"
            raise MissingColumnError(
                f"{path}: feature {number} has no code in property {' or '.join(map(repr, keys))}; its properties are: {names}",
                hint="Name the property that holds the code.",
            )
        if code in seen:
            raise DuplicateCodeError(f"{path}: code {code!r} stands twice, in features {seen[code]} and {number}")
        seen[code] = number
        features.append(Feature(code, item.properties, _checked(item.geometry, f"{path}: feature {number} (code {code!r})")))
    return features


def write_geojson(path: Path, shapes: Mapping[str, BaseGeometry | None], properties: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Write shapes as a GeoJSON FeatureCollection, atomically; each feature has its ``code`` among its properties.

    Args:
        path: the file.
        shapes: geometries in WGS 84 by code; coordinates are rounded to 1e-6 degrees (0.1 m).
        properties: further properties by code.
    """
    features = [
        {
            "type": "Feature",
            "id": code,
            "properties": {"code": code, **dict((properties or {}).get(code, {}))},
            "geometry": None if shape is None else _rounded(shapely.geometry.mapping(shapely.orient_polygons(shape))),
        }
        for code, shape in shapes.items()
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, separators=(",", ":"), default=_plain)
    write_atomically(path, text.encode())


@dataclass(frozen=True)
class _Raw:
    """A feature before its code and geometry are checked; ``geometry`` is GeoJSON-like or None."""

    id: object
    properties: Mapping[str, Any]
    geometry: Any


def _read_json(path: Path) -> dict[str, Any]:
    text = read_text(path)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as err:
        raise FileUnreadableError(f"{path}: not JSON: {err.msg}, line {err.lineno} column {err.colno}", hint=_HINT_FORMAT) from err
    if not isinstance(document, dict):
        raise FileUnreadableError(f"{path}: a JSON {type(document).__name__}, must be an object", hint=_HINT_FORMAT)
    return document


def _geojson_features(document: dict[str, Any], path: Path) -> Iterator[_Raw]:
    features = document.get("features")
    if not isinstance(features, list):
        raise FileUnreadableError(f"{path}: the FeatureCollection has no list 'features'", hint=_HINT_FORMAT)
    for number, feature in enumerate(features, start=1):
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise FileUnreadableError(f"{path}: item {number} of 'features' is not a Feature", hint=_HINT_FORMAT)
        yield _Raw(feature.get("id"), feature.get("properties") or {}, feature.get("geometry"))


def _topojson_features(document: dict[str, Any], path: Path) -> Iterator[_Raw]:
    objects = document.get("objects")
    if not isinstance(objects, dict):
        raise FileUnreadableError(f"{path}: the Topology has no 'objects'", hint=_HINT_FORMAT)
    arcs = _decode_arcs(document, path)
    for name, item in objects.items():
        for number, geometry in enumerate(_single_geometries(item), start=1):
            try:
                yield _Raw(geometry.get("id"), geometry.get("properties") or {}, _assembled(geometry, arcs))
            except (AttributeError, KeyError, TypeError, IndexError) as err:
                where = f"object {name!r}, geometry {number}"
                raise FileUnreadableError(f"{path}: {where} is broken or refers to arcs that the file lacks", detail=str(err)) from err


def _single_geometries(item: Any) -> Iterator[Any]:
    """Geometries of a TopoJSON object, out of collections however deep."""
    if isinstance(item, dict) and item.get("type") == "GeometryCollection":
        for part in item.get("geometries") or []:
            yield from _single_geometries(part)
    else:
        yield item


def _assembled(geometry: Mapping[str, Any], arcs: list[Floats]) -> Any:
    """A TopoJSON geometry as a GeoJSON one."""
    kind = geometry.get("type")
    if kind == "Polygon":
        return {"type": kind, "coordinates": [_stitch(ring, arcs) for ring in geometry["arcs"]]}
    if kind == "MultiPolygon":
        return {"type": kind, "coordinates": [[_stitch(ring, arcs) for ring in polygon] for polygon in geometry["arcs"]]}
    return None if kind is None else {"type": kind}


def _decode_arcs(document: dict[str, Any], path: Path) -> list[Floats]:
    """Arcs as (points, 2) arrays of degrees; a quantised topology stores differences of integers."""
    transform = document.get("transform")
    try:
        arcs = [np.asarray([position[:2] for position in arc], dtype=np.float64).reshape(-1, 2) for arc in document["arcs"]]
        if transform is not None:
            scale, translate = (np.asarray(transform[name], dtype=np.float64).reshape(2) for name in ("scale", "translate"))
            arcs = [np.cumsum(arc, axis=0) * scale + translate for arc in arcs]
    except (KeyError, TypeError, ValueError) as err:
        raise FileUnreadableError(f"{path}: broken 'arcs' or 'transform'", hint=_HINT_FORMAT, detail=str(err)) from err
    return arcs


def _stitch(ring: list[int], arcs: list[Floats]) -> Floats:
    """One ring from its arcs; ``~i`` is arc i backwards; the point where two arcs meet stands once."""
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in ring]
    return np.concatenate([part if number == 0 else part[1:] for number, part in enumerate(parts)])


def _code_of(item: _Raw, key: str) -> str | None:
    value = item.properties.get(key)
    if value is None and key == "id":
        value = item.id
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value).strip() or None


def _checked(geometry: Any, where: str) -> BaseGeometry | None:
    """A valid polygonal shape in degrees, or None where there is none."""
    if geometry is None:
        return None
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    try:
        if kind == "Polygon":
            parts = [_polygon(geometry["coordinates"])]
        elif kind == "MultiPolygon":
            parts = [_polygon(rings) for rings in geometry["coordinates"]]
        else:
            raise WrongTypeError(f"{where}: geometry is {kind!r}, must be Polygon or MultiPolygon")
    except (KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as err:
        raise WrongTypeError(f"{where}: coordinates that make no polygon", detail=str(err)) from err
    known = [part for part in parts if part is not None]
    if not known:
        return None
    shape = known[0] if len(known) == 1 else shapely.MultiPolygon(known)
    west, south, east, north = shape.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise WrongTypeError(
            f"{where}: coordinates up to ({east:g}, {north:g}) are no degrees of longitude and latitude",
            hint="Convert the file to WGS 84 (EPSG:4326); Korean files often come in EPSG:5179 or 5186.",
        )
    return shape if shape.is_valid else _polygonal(shapely.make_valid(shape))


def _polygon(rings: Any) -> BaseGeometry | None:
    """A polygon from its rings; rings that quantisation has shrunk to a line have no area and go."""
    arrays = [np.asarray(ring, dtype=np.float64)[:, :2] for ring in rings if len(ring) > 0]
    if any(not np.isfinite(array).all() for array in arrays):
        raise ValueError("a coordinate is not a number")
    solid = [array for array in arrays if len(array) >= 4]
    if not solid or len(arrays[0]) < 4:
        return None
    return shapely.Polygon(solid[0], solid[1:])


def _polygonal(shape: BaseGeometry) -> BaseGeometry | None:
    """What has area in a repaired shape; a repair may leave stray lines and points."""
    parts = [part for part in shapely.get_parts(shapely.get_parts([shape])) if part.geom_type in {"Polygon", "MultiPolygon"}]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return round(value, 6) if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return str(value)

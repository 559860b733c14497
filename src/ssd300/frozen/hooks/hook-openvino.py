"""OpenVINO loads its plug-ins and readers by name from its own folder."""

from PyInstaller.utils.hooks import collect_data_files, collect_dynamic_libs

binaries = collect_dynamic_libs("openvino")
datas = collect_data_files("openvino", includes=["libs/*"])
excludedimports = ["openvino_telemetry", "torch", "tensorflow", "onnx", "nncf"]

"""The moving picture of the camera on the microscope page, with meters for focus and exposure."""

"""The requests that the microscope page's server answers, with one module for each part of the page."""
